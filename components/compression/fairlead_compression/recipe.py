"""The recipe: how a model is made smaller, and how much accuracy this may cost."""

from pathlib import Path
from typing import Annotated, Self

from fairlead_contracts.base import Contract, problem
from fairlead_contracts.errors import Words
from fairlead_datasets.yaml_files import read_document
from pydantic import Field, model_validator

Width = Annotated[int, Field(ge=1, le=65_536)]


class Part(Contract, extra="forbid"):
    """A part of a recipe; a field that it does not know is an error."""


class Training(Part):
    """How a network is trained."""

    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(32, ge=1, le=65_536)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    seed: int = Field(0, ge=0, lt=1 << 63)


class Student(Part):
    """A network to train from nothing: convolutions, linear layers, and one more linear layer for the classes."""

    channels: tuple[Width, ...] = Field((), max_length=32)
    """The width of each convolution of 3 x 3. Each is followed by ReLU, and halves height and width while it can."""
    hidden: tuple[Width, ...] = Field((), max_length=32)
    """The width of each linear layer, which is followed by ReLU."""


class Distill(Training):
    """Train a smaller student on what the model, its teacher, returns."""

    student: Student
    temperature: float = Field(4.0, gt=0, le=100)
    """How much the teacher's classes are softened; 1: not at all."""
    alpha: float = Field(0.7, ge=0, le=1)
    """The weight of the teacher; the rest is that of the labels."""


class Prune(Training):
    """Set the smallest weights to zero, then train what is left."""

    share: float = Field(gt=0, lt=1)
    structured: bool = False
    """Prune whole output channels of each layer, instead of single weights of the whole network."""


class Recipe(Part):
    """A recipe: one step, and its budget."""

    distill: Distill | None = None
    prune: Prune | None = None
    max_drop: float = Field(0.02, ge=0, le=1)
    """How much lower than the model's the accuracy on the held-out split may be: 0.02 is two points of a hundred."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.distill is None) == (self.prune is None):
            raise problem("", Words("neither or both"), "one of distill and prune")
        return self


def read_recipe(file: Path) -> Recipe:
    """Read a recipe, YAML or JSON; raise Unusable naming the field."""
    return read_document(Recipe, file, "recipe")
