"""The bases that the components' images share: targets of cluster/images/Dockerfile, each on a Debian suite."""

import re
from dataclasses import dataclass
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step
from fairlead_cluster.kind.debian import debian_image, debian_key, plan_debian
from fairlead_cluster.kind.docker import Build, content_key, copied_sources

_DOCKERFILE = CHECKOUT / "cluster" / "images" / "Dockerfile"


@dataclass(frozen=True)
class Base:
    """One target on one suite; its tag is what the components' Dockerfiles start from."""

    target: str
    suite: str

    @property
    def tag(self) -> str:
        """Its name and tag."""
        return f"fairlead/base:{self.target}-{self.suite}"

    def build(self, published: bool) -> Build:
        """Return its build, on the published Debian or the one that is built here."""
        key = content_key(debian_key(self.suite, published), _DOCKERFILE, *copied_sources(_DOCKERFILE))
        arguments = {"BASE": debian_image(self.suite, published)}
        return Build(self.tag, key, CHECKOUT, _DOCKERFILE, self.target, arguments)


def find_bases(dockerfile: Path) -> list[Base]:
    """Return the bases that a Dockerfile's stages start from; raises SetupError where there are none."""
    found = re.findall(r"^FROM fairlead/base:(\w+)-(\w+)\b", dockerfile.read_text(), re.MULTILINE)
    if not found:
        raise SetupError(f"{dockerfile}: no line `FROM fairlead/base:<target>-<suite>`")
    return [Base(target, suite) for target, suite in dict.fromkeys(found)]


def plan_bases(home: Home, bases: list[Base], published: bool) -> list[Step]:
    """Return the steps that build outdated bases and the Debian images below them."""
    steps: dict[str, Step] = {}
    for base in bases:
        build = base.build(published)
        if build.current:
            continue
        below = plan_debian(home, base.suite, published)
        after = tuple(step.name for step in below)
        for step in (*below, Step(f"base-{base.target}-{base.suite}", build.run, after=after)):
            steps.setdefault(step.name, step)
    return list(steps.values())
