"""From a container's spec to a command line, an environment and a working directory."""

import shutil
from pathlib import Path

from fairlead_cluster.local.node.context import PodContext
from fairlead_cluster.local.node.environment import NotConfigured, Sources, build_environment, expand
from fairlead_cluster.local.node.names import search_list
from fairlead_cluster.local.node.objects import Object
from fairlead_cluster.local.node.paths import Mounts
from fairlead_cluster.local.node.process import Launch

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RESOLVER = Path(__file__).with_name("resolver")


def build_launch(context: PodContext, container: Object, sources: Sources) -> Launch:
    """Return what to start; raises ImageUnknown or NotConfigured."""
    env_bin = context.machine.images.environment(container["image"]) / "bin"
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if not container.get("command"):
        raise NotConfigured(
            f"container {container['name']}: got no command, expected one: an environment has no entrypoint"
        )
    folder = context.container_folder(container["name"])
    mounts = Mounts(_mounts(context, container, folder))
    declared = build_environment(context.pod, container, sources, {})
    env = _base_environment(context, folder, mounts) | {key: mounts.translate(value) for key, value in declared.items()}
    env["PATH"] = f"{env_bin}:{env['PATH']}"
    env["PYTHONPATH"] = ":".join(filter(None, [str(_RESOLVER), declared.get("PYTHONPATH") and env["PYTHONPATH"]]))
    return Launch(
        argv=[mounts.translate(expand(word, declared)) for word in words],
        env=env,
        cwd=_working_folder(container.get("workingDir"), mounts, folder),
    )


def termination_file(context: PodContext, container: Object) -> Path:
    """Return the file that represents the container's terminationMessagePath."""
    return context.container_folder(container["name"]) / "termination-log"


def make_termination_file(context: PodContext, container: Object) -> None:
    """Make that file anew: an earlier run may have left anything there, even a named pipe that nobody reads."""
    path = termination_file(context, container)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.write_bytes(b"")


def _base_environment(context: PodContext, folder: Path, mounts: Mounts) -> dict[str, str]:
    """Return the variables that every container has; none comes from the machine's own environment."""
    meta, spec = context.pod["metadata"], context.pod["spec"]
    scratch = Path(mounts.translate("/tmp"))
    if scratch == Path("/tmp"):
        scratch = folder / "tmp"
    for path in (scratch, folder / "home"):
        path.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": _SYSTEM_PATH,
        "HOME": str(folder / "home"),
        "TMPDIR": str(scratch),
        "HOSTNAME": spec.get("hostname") or meta["name"],
        "LANG": "C.UTF-8",
        "FAIRLEAD_BIND_ADDRESS": context.address,
        "FAIRLEAD_NODE_POD": str(context.folder),
        "FAIRLEAD_NODE_HOSTS": str(context.machine.hosts),
        "FAIRLEAD_NODE_SEARCH": search_list(meta["namespace"]),
    }


def _mounts(context: PodContext, container: Object, folder: Path) -> dict[str, Path]:
    mounts = {container.get("terminationMessagePath") or "/dev/termination-log": folder / "termination-log"}
    for mount in container.get("volumeMounts") or []:
        if "subPathExpr" in mount:
            raise NotConfigured(f"volumeMount {mount['name']!r}: subPathExpr is not supported on a process node")
        mounts[mount["mountPath"]] = context.volumes[mount["name"]] / mount.get("subPath", "")
    return mounts


def _working_folder(declared: str | None, mounts: Mounts, folder: Path) -> Path:
    """Return the working directory; like a container runtime, make one that does not exist."""
    translated = Path(mounts.translate(declared)) if declared else folder / "work"
    if translated.is_dir():
        return translated
    if declared and str(translated) == declared:
        translated = folder / "root" / declared.lstrip("/")  # never make folders in the machine's own tree
    translated.mkdir(parents=True, exist_ok=True)
    return translated
