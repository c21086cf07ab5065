"""The Debian base images: published ones, or built by debootstrap if no registry is reachable."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import Home
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.kind.docker import KEY_LABEL, content_key, image_key
from fairlead_cluster.kind.engine import install_packages

_NEEDLESS = (
    "usr/share/doc/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/man/*",
    "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*",
    # this machine's own files, which debootstrap copies
    "etc/hostname", "etc/resolv.conf",
)  # fmt: skip
_EXCLUDED = ("doc", "groff", "info", "linda", "lintian", "locale", "man")
# a build that is cut off is begun again: nothing need be on the disk before its end
_DPKG = "force-unsafe-io\n" + "".join(f"path-exclude /usr/share/{folder}/*\n" for folder in _EXCLUDED)
_APT = """\
Acquire::Languages "none";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
_UPDATES = """\
deb {mirror} {suite}-updates main
deb {mirror}-security {suite}-security main
"""
_RECIPE = content_key("1", *_NEEDLESS, _DPKG, _APT, _UPDATES)


def debian_image(suite: str, published: bool) -> str:
    """Return the image of a Debian suite."""
    return f"debian:{suite}-slim" if published else f"fairlead/debian:{suite}"


def debian_key(suite: str, published: bool) -> str:
    """Return the key of a suite's image: it changes when the image does."""
    return debian_image(suite, published) + ("" if published else _RECIPE)


def plan_debian(home: Home, suite: str, published: bool) -> list[Step]:
    """Return the step that builds a suite's image; none if it exists or is published."""
    tag = debian_image(suite, published)
    if published or image_key(tag) == _RECIPE:
        return []
    return [Step(f"debian-{suite}", lambda log: _bootstrap(home, suite, tag, log))]


def _bootstrap(home: Home, suite: str, tag: str, log: StepLog) -> None:
    if os.geteuid() != 0:
        raise SetupError("no image registry is reachable, and building a base image with debootstrap needs root")
    if not shutil.which("debootstrap"):
        install_packages(["debootstrap"], log)
    (home.root / "kind").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="debian-", dir=home.root / "kind") as folder:
        root = Path(folder)
        log.run(["debootstrap", "--variant=minbase", suite, root])
        _slim(root)
        _add_updates(root, suite)
        archive = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        label = f"LABEL {KEY_LABEL}={_RECIPE}"
        words = ["docker", "import", "--change", label, "--change", 'CMD ["bash"]', "-", tag]
        with log.path.open("ab") as output:
            imported = subprocess.run(words, stdin=archive.stdout, stdout=output, stderr=output)
        if archive.wait() or imported.returncode:
            raise SetupError(f"docker import of {tag} failed; {log.ending}")


def _slim(root: Path) -> None:
    for pattern in _NEEDLESS:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (root / "etc" / "dpkg" / "dpkg.cfg.d" / "slim").write_text(_DPKG)
    (root / "etc" / "apt" / "apt.conf.d" / "slim").write_text(_APT)


def _add_updates(root: Path, suite: str) -> None:
    """Add the repositories of updates and security fixes, on debootstrap's mirror."""
    sources = root / "etc" / "apt" / "sources.list"
    text = sources.read_text()
    mirror = text.split()[1].rstrip("/")
    sources.write_text(text + _UPDATES.format(mirror=mirror, suite=suite))
