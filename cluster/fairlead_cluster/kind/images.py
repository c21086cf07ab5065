"""The images of this repository: built when what they are made from has changed."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from fairlead import __version__

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.kind import programs
from fairlead_cluster.kind.bases import base_image, base_key, plan_base
from fairlead_cluster.kind.docker import Build, content_key

COMPONENTS = {
    "operator": "operator",
    "trainer": "components/trainer",
    "graph-server": "components/graph-server",
    "data-validation": "components/data-validation",
    "onnx-converter": "components/onnx-converter",
    "edge-runtime": "edge-runtime",
    "pipelines": "pipelines",
}
STORE = "minio"
NAMES = (*COMPONENTS, STORE)
NOT_IN_THE_CLUSTER = ("edge-runtime", "pipelines")
"""Built, but not loaded into nodes: one runs on devices, the other where Kubeflow Pipelines is installed."""
_STORE_FILES = CHECKOUT / "cluster" / "images" / "minio"


@dataclass(frozen=True)
class Image:
    """An image, its Dockerfile and the Debian suite that it starts from."""

    name: str
    dockerfile: Path

    @property
    def tag(self) -> str:
        """Its name and version."""
        return image_tag(self.name)

    @property
    def suite(self) -> str:
        """The Debian suite that the Dockerfile names as its base."""
        if found := re.search(r"^ARG BASE=debian:(\w+)-slim$", self.dockerfile.read_text(), re.MULTILINE):
            return found[1]
        raise SetupError(f"{self.dockerfile}: no line `ARG BASE=debian:<suite>-slim`")

    @property
    def sources(self) -> list[Path]:
        """The files and folders that the Dockerfile copies from the repository."""
        copies = re.findall(r"^COPY (?!--from)(.+) \S+$", self.dockerfile.read_text(), re.MULTILINE)
        paths = [CHECKOUT / word for words in copies for word in words.split()]
        if missing := [path for path in paths if not path.exists()]:
            raise SetupError(f"{self.dockerfile}: copies {missing[0]}, which does not exist")
        return paths


def image_tag(name: str) -> str:
    """Return an image's name and version."""
    return f"fairlead/{name}:{__version__}"


def plan_images(home: Home, names: list[str], published: bool) -> list[Step]:
    """Return the steps that build those of the named images that are not current, and what they need."""
    steps: dict[str, Step] = {}
    for name in names:
        for step in _plan_store(home, published) if name == STORE else _plan_component(home, name, published):
            steps.setdefault(step.name, step)
    return list(steps.values())


def _plan_component(home: Home, name: str, published: bool) -> list[Step]:
    image = Image(name, CHECKOUT / COMPONENTS[name] / "Dockerfile")
    key = content_key(base_key(image.suite, published), image.dockerfile, *image.sources)
    arguments = {"BASE": base_image(image.suite, published)}
    build = Build(image.tag, key, CHECKOUT, image.dockerfile, arguments=arguments)
    if build.current:
        return []
    base = plan_base(home, image.suite, published)
    return [*base, Step(image.name, build.run, after=tuple(step.name for step in base))]


def _plan_store(home: Home, published: bool) -> list[Step]:
    image = Image(STORE, _STORE_FILES / "Dockerfile")
    key = content_key(base_key(image.suite, published), image.dockerfile, programs.MINIO)
    context = home.root / "kind" / "minio-context"
    arguments = {"BASE": base_image(image.suite, published)}
    build = Build(image.tag, key, context, image.dockerfile, arguments=arguments)
    if build.current:
        return []
    needs = programs.plan_module(home, programs.MINIO, "minio-server") + plan_base(home, image.suite, published)

    def work(log: StepLog) -> None:
        shutil.rmtree(context, ignore_errors=True)
        context.mkdir(parents=True)
        (context / "minio").hardlink_to(programs.module_path(home, programs.MINIO))
        build.run(log)
        shutil.rmtree(context)

    return [*needs, Step(STORE, work, after=tuple(step.name for step in needs))]
