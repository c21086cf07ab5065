"""Maps image names to environments on disk. Pure, except that it checks whether an environment exists."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "fairlead/"


class ImageUnknown(Exception):
    """No environment represents this image; the text becomes the container's waiting message."""


@dataclass(frozen=True)
class Images:
    """Where each image's environment is; never a guess, so nothing runs on the machine's own Python by accident."""

    envs: Path
    """`fairlead/<component>` is the environment `<component>` here."""
    others: Mapping[str, Path]
    """Further images, by name without tag."""

    def environment(self, image: str) -> Path:
        """Return the environment that represents an image; raises ImageUnknown."""
        name = repository(image)
        if name in self.others:
            return self.others[name]
        component = name.removeprefix(_PREFIX)
        env = self.envs / component
        if not name.startswith(_PREFIX) or "/" in component:
            raise ImageUnknown(
                f"image {image!r}: a process node runs only images named {_PREFIX}<component>, from {self.envs}"
            )
        if not (env / "bin").is_dir():
            raise ImageUnknown(f"image {image!r}: no environment at {env}; `fairlead setup` makes this project's")
        return env


def repository(image: str) -> str:
    """Return an image's name without tag, digest and Docker Hub's implied registry."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return (head + slash + last.partition(":")[0]).removeprefix("docker.io/")
