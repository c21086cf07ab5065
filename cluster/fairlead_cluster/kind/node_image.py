"""The nodes' image, made from the Kubernetes binary of cluster/kube/ and Debian packages where none can be pulled."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.base.toolchain import kubernetes_version
from fairlead_cluster.kind import programs
from fairlead_cluster.kind.debian import debian_image, debian_key, plan_debian
from fairlead_cluster.kind.docker import Build, content_key

SUITE = "bookworm"  # its containerd 1.6 still works with Kubernetes 1.34
_FILES = CHECKOUT / "cluster" / "kind" / "node"
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd")
_PODNET = "fairlead/podnet:local"


def node_image_tag() -> str:
    """Return the tag of the node image of this checkout."""
    return f"fairlead/kind-node:{kubernetes_version()}-{_key()[:12]}"


def plan_node_image(home: Home) -> list[Step]:
    """Return the steps that build the nodes' image, or none."""
    build = Build(node_image_tag(), _key(), _context(home), _FILES / "Dockerfile")
    if build.current:
        return []
    parts = [
        *programs.plan_kubernetes(home, "kubernetes-node"),
        *programs.plan_coredns(home, "coredns"),
        *plan_debian(home, SUITE, published=False),
    ]
    work = _NodeImage(home, build.key).make
    return [*parts, Step("node-image", work, after=tuple(step.name for step in parts))]


@dataclass(frozen=True)
class _NodeImage:
    """Builds the image in two steps: the system's images, saved into a file, then the node that includes that file."""

    home: Home
    key: str

    def make(self, log: StepLog) -> None:
        """Build everything; Docker's cache covers what is unchanged."""
        context = _context(self.home)
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(_FILES, context)
        (context / "kube").hardlink_to(programs.kubernetes_path(self.home))
        (context / "coredns").hardlink_to(programs.coredns_path(self.home))
        programs.build_pause(context / "pause.bin", log, self.home)
        names = self._system_images()
        for target, tags in names.items():
            self._build_system(target, tags, log)
        saved = [tag for tags in names.values() for tag in tags]
        log.run(["docker", "save", "--output", context / "images.tar", *saved])
        arguments = {
            "BASE": debian_image(SUITE, published=False),
            "KUBERNETES": kubernetes_version(),
            "PAUSE": names["pause"][0],
        }
        Build(node_image_tag(), self.key, context, context / "Dockerfile", arguments=arguments).run(log)
        shutil.rmtree(context)
        _remove_older(node_image_tag())

    def _build_system(self, target: str, tags: list[str], log: StepLog) -> None:
        context = _context(self.home)
        arguments = {"BASE": debian_image(SUITE, published=False)}
        Build(tags[0], self.key, context, context / "images.Dockerfile", target, arguments).run(log)
        for tag in tags[1:]:
            log.run(["docker", "tag", tags[0], tag])

    def _system_images(self) -> dict[str, list[str]]:
        """Return the tags of the images that kubeadm starts, by the target that builds them."""
        version = kubernetes_version()
        kubeadm = [str(programs.kubernetes_path(self.home)), "kubeadm"]
        command = [*kubeadm, "config", "images", "list", f"--kubernetes-version={version}"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        tags: dict[str, list[str]] = {"kubernetes": [], "coredns": [], "pause": []}
        for tag in listed.stdout.split():
            name = tag.rpartition(":")[0].rpartition("/")[2]
            tags["kubernetes" if name in _KUBERNETES else name].append(tag)
        if not all(tags.values()):
            raise SetupError(f"{' '.join(command)}: got {listed.stdout!r}, expected {list(tags)}")
        built = programs.coredns_version()
        if not tags["coredns"][0].endswith(f":{built}"):
            raise SetupError(
                f"cluster/kind/coredns/go.mod: got CoreDNS {built}, expected the version of {tags['coredns'][0]}, "
                f"for Kubernetes {version}"
            )
        tags["kubernetes"].append(_PODNET)
        return tags


def _remove_older(tag: str) -> None:
    """Delete older node images, except those of running nodes."""
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", tag.partition(":")[0]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for other in set(listed.stdout.split()) - {tag}:
        subprocess.run(["docker", "image", "rm", other], capture_output=True)


def _context(home: Home) -> Path:
    return home.root / "kind" / "node-context"


def _key() -> str:
    base = debian_key(SUITE, published=False)
    return content_key(programs.kubernetes_key(), programs.coredns_key(), base, *_KUBERNETES, _PODNET, _FILES)
