"""Puts images into the cluster's nodes, which have stores of their own; what is there already stays."""

import subprocess
from collections.abc import Sequence

from fairlead.local.steps import SetupError, StepLog

from fairlead_kind.docker import image_id

_CTR = ("ctr", "--namespace=k8s.io", "images")


def missing_images(node: str, tags: Sequence[str]) -> list[str]:
    """Return those of `tags` that the node has not, or has from another build."""
    targets = _targets(node)
    return [tag for tag in tags if targets.get(f"docker.io/{tag}", "") != targets.get(image_id(tag) or "", None)]


def load_images(node: str, tags: Sequence[str], log: StepLog) -> None:
    """Copy images from the engine into a node, layers that they share once, and drop the builds they replace."""
    with log.path.open("ab") as output:
        output.write(f"$ docker save {' '.join(tags)} | docker exec {node} {' '.join(_CTR)} import -\n".encode())
        output.flush()
        save = subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE, stderr=output)
        load = ["docker", "exec", "--interactive", node, *_CTR, "import", "-"]
        loaded = subprocess.run(load, stdin=save.stdout, stdout=output, stderr=output)
    if save.wait() or loaded.returncode:
        raise SetupError(f"{node}: the images {' '.join(tags)} cannot be loaded; see {log.path}")
    targets = _targets(node)
    named = {target for name, target in targets.items() if not name.startswith("sha256:")}
    if stale := [name for name, target in targets.items() if target not in named]:
        log.run(["docker", "exec", node, *_CTR, "rm", *stale])


def _targets(node: str) -> dict[str, str]:
    """Return what each name in the node's store stands for; the CRI plugin also names images by their id."""
    listed = subprocess.run(["docker", "exec", node, *_CTR, "list"], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listed.stdout.splitlines()[1:])
    return {row[0]: row[2] for row in rows}
