"""The two images of the graph server: the same program on the same packages, but for ONNX Runtime and CUDA."""

import re

from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.kind.docker import copied_sources

CPU, CUDA = CHECKOUT / "components" / "graph-server", CHECKOUT / "components" / "graph-server-cuda"


def read_names(text: str) -> set[str]:
    """Return the distributions that a requirements.in names."""
    return set(re.findall(r"^([a-z][\w-]*)", text, re.MULTILINE))


def read_pins(text: str) -> set[str]:
    """Return the pinned versions in a requirements.txt, with their markers."""
    return set(re.findall(r"^([a-z][\w.-]*==[^\\\n]*?) *\\$", text, re.MULTILINE))


def test_both_images_name_the_same_packages_but_onnx_runtime_and_cuda() -> None:
    plain, cuda = (read_names((folder / "requirements.in").read_text()) for folder in (CPU, CUDA))
    assert plain - cuda == {"onnxruntime"}
    assert {name for name in cuda - plain if not name.startswith("nvidia-")} == {"onnxruntime-gpu"}


def test_both_images_pin_the_same_versions_but_those_of_onnx_runtime_and_cuda() -> None:
    plain, cuda = (read_pins((folder / "requirements.txt").read_text()) for folder in (CPU, CUDA))
    assert len(plain) > 20
    assert {pin.partition("==")[0] for pin in plain - cuda} == {"onnxruntime"}
    others = {pin.partition("==")[0] for pin in cuda - plain}
    assert {name for name in others if not name.startswith("nvidia-")} == {"onnxruntime-gpu"}


def test_both_images_have_the_same_packages_of_this_repository() -> None:
    plain, cuda = (set(copied_sources(folder / "Dockerfile")) for folder in (CPU, CUDA))
    assert plain - cuda == {CPU / "requirements.txt"}
    assert cuda - plain == {CUDA / "requirements.txt"}
