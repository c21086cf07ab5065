"""Loads images into the cluster's nodes, each of which has its own store; skips what a node already has."""

import re
import subprocess
from collections.abc import Mapping, Sequence, Set
from contextlib import ExitStack, suppress
from functools import partial

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.kind.docker import image_id
from fairlead_cluster.kind.images import image_tag

_CTR = ("ctr", "--namespace=k8s.io", "images")
_DISCARD_LAYERS = CHECKOUT / "cluster" / "kind" / "discard-layers"
_ID_LABEL = "fairlead.dev/id"
_CHUNK = 1 << 20


def plan_loads(nodes: Sequence[str], groups: Mapping[str, Sequence[str]], built: Set[str]) -> list[Step]:
    """Return a step for each group with an image that is built before, or that a node lacks.

    One step runs after the other: each deletes what its own import has left in the nodes' stores.
    """
    steps: list[Step] = []
    for group, names in groups.items():
        tags, building = [image_tag(name) for name in names], built & set(names)
        if nodes and (building or any(missing_images(node, tags) for node in nodes)):
            after = (*sorted(building), *(step.name for step in steps[-1:]))
            steps.append(Step(f"load-{group}", partial(_load_missing, nodes, tags), after=after))
    return steps


def _load_missing(nodes: Sequence[str], tags: Sequence[str], log: StepLog) -> None:
    lacking = {node: missing for node in nodes if (missing := missing_images(node, tags))}
    if lacking:
        load_images(list(lacking), sorted({tag for missing in lacking.values() for tag in missing}), log)


def missing_images(node: str, tags: Sequence[str]) -> list[str]:
    """Return those of `tags` that the node lacks or has from another build."""
    loaded = dict(re.findall(rf"^docker\.io/(\S+) .*\b{_ID_LABEL}=([\w:]+)", _list(node), re.MULTILINE))
    return [tag for tag in tags if loaded.get(tag, "") != image_id(tag)]


def load_images(nodes: Sequence[str], tags: Sequence[str], log: StepLog) -> None:
    """Copy images from the engine into nodes; they are read once, and shared layers are sent once."""
    with (
        log.path.open("ab") as output,
        suppress(BrokenPipeError),
    ):  # an import that ended early; its exit status is checked below
        output.write(f"$ docker save {' '.join(tags)}, into {', '.join(nodes)}\n".encode())
        output.flush()
        save = subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE, stderr=output)
        words = [["docker", "exec", "--interactive", node, *_CTR, "import", "-"] for node in nodes]
        imports = [subprocess.Popen(word, stdin=subprocess.PIPE, stdout=output, stderr=output) for word in words]
        _copy(save, imports)
    statuses = [process.wait() for process in (save, *imports)]
    if any(statuses):
        raise SetupError(f"the images {' '.join(tags)} cannot be loaded into {' and '.join(nodes)}; {log.ending}")
    for node in nodes:
        for tag in tags:
            label = f"{_ID_LABEL}={image_id(tag)}"
            log.run(["docker", "exec", node, *_CTR, "label", f"docker.io/{tag}", label])
        _free_space(node, log)


def _copy(source: "subprocess.Popen[bytes]", sinks: Sequence["subprocess.Popen[bytes]"]) -> None:
    with ExitStack() as opened:  # closes every pipe, also when one of them breaks
        inputs = [opened.enter_context(sink.stdin) for sink in sinks if sink.stdin]
        output = opened.enter_context(source.stdout) if source.stdout else None
        while output and (chunk := output.read(_CHUNK)):
            for stream in inputs:
                stream.write(chunk)


def _free_space(node: str, log: StepLog) -> None:
    """Delete replaced builds, which only have their ids as names, and the archives of all layers."""
    rows = (line.split() for line in _list(node).splitlines()[1:])
    targets = {row[0]: row[2] for row in rows}
    named = {target for name, target in targets.items() if not name.startswith("sha256:")}
    if stale := [name for name, target in targets.items() if target not in named]:
        log.run(["docker", "exec", node, *_CTR, "rm", *stale])
    log.run(["docker", "exec", node, "bash", "-c", _DISCARD_LAYERS.read_text()])


def _list(node: str) -> str:
    return subprocess.run(["docker", "exec", node, *_CTR, "list"], capture_output=True, text=True, check=True).stdout
