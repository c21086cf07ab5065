"""The images of this repository, rebuilt when their inputs change."""

import shutil
from collections.abc import Mapping

from fairlead import __version__

from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.components import Component, discover
from fairlead_cluster.kind import programs
from fairlead_cluster.kind.bases import find_bases, plan_bases
from fairlead_cluster.kind.debian import debian_image, debian_key, plan_debian
from fairlead_cluster.kind.docker import Build, content_key, copied_sources

STORE = "minio"
_STORE_SUITE = "bookworm"
_STORE_FILES = CHECKOUT / "cluster" / "images" / "minio"


def component_images() -> Mapping[str, Component]:
    """Return the components that have an image, by its name."""
    return {name: component for name, component in discover().items() if component.has_image}


def image_names() -> list[str]:
    """Return the names of all images: the components' and the store's."""
    return [*component_images(), STORE]


def default_image_names() -> list[str]:
    """Return the names of the images that are built unless others are named."""
    return [*(name for name, component in component_images().items() if not component.optional), STORE]


def image_tag(name: str) -> str:
    """Return an image's name and version."""
    return f"fairlead/{name}:{__version__}"


def node_groups(names: list[str]) -> dict[str, list[str]]:
    """Return those of the named images that the cluster's nodes hold, by the suite of Debian below them.

    Images of one suite share layers, which are sent to the nodes once; the store's is a group of its own.
    """
    components = component_images()
    groups: dict[str, list[str]] = {}
    for name in names:
        if name == STORE:
            groups[STORE] = [STORE]
        elif components[name].nodes:
            groups.setdefault(find_bases(components[name].dockerfile)[0].suite, []).append(name)
    return groups


def plan_images(home: Home, names: list[str], published: bool) -> list[Step]:
    """Return the steps that build those of the named images that are not current, and what they need."""
    components = component_images()
    steps: dict[str, Step] = {}
    for name in names:
        for step in _plan_store(home, published) if name == STORE else _plan(home, components[name], published):
            steps.setdefault(step.name, step)
    return list(steps.values())


def component_build(component: Component, published: bool) -> Build:
    """Return the build of a component's image; its key covers the bases, the Dockerfile and what that copies."""
    bases = [base.build(published).key for base in find_bases(component.dockerfile)]
    key = content_key(*bases, component.dockerfile, *copied_sources(component.dockerfile))
    return Build(image_tag(component.name), key, CHECKOUT, component.dockerfile)


def _plan(home: Home, component: Component, published: bool) -> list[Step]:
    build = component_build(component, published)
    if build.current:
        return []
    bases = plan_bases(home, find_bases(component.dockerfile), published)
    return [*bases, Step(component.name, build.run, after=tuple(step.name for step in bases))]


def _plan_store(home: Home, published: bool) -> list[Step]:
    dockerfile = _STORE_FILES / "Dockerfile"
    key = content_key(debian_key(_STORE_SUITE, published), dockerfile, programs.MINIO)
    context = home.root / "kind" / "minio-context"
    arguments = {"BASE": debian_image(_STORE_SUITE, published)}
    build = Build(image_tag(STORE), key, context, dockerfile, arguments=arguments)
    if build.current:
        return []
    needs = programs.plan_module(home, programs.MINIO, "minio-server") + plan_debian(home, _STORE_SUITE, published)

    def work(log: StepLog) -> None:
        shutil.rmtree(context, ignore_errors=True)
        context.mkdir(parents=True)
        (context / "minio").hardlink_to(programs.module_path(home, programs.MINIO))
        build.run(log)
        shutil.rmtree(context)

    return [*needs, Step(STORE, work, after=tuple(step.name for step in needs))]
