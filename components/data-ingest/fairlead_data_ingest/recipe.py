"""The recipe: where data come from, what they must look like, how they are split and written."""

from pathlib import Path
from typing import Annotated, Literal, Self

from fairlead_contracts.base import problem
from fairlead_contracts.errors import Words
from fairlead_datasets.yaml_files import read_document
from pydantic import Field, StringConstraints, model_validator

from .source import Part, Source

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
SplitName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Share = Annotated[float, Field(gt=0, le=1)]
Action = Literal["reject", "drop", "keep"]


class Csv(Part):
    """How CSV files are written."""

    delimiter: str | None = Field(None, pattern=r"^[\t !#-~]$")
    """None: found in the first lines."""
    encoding: str | None = Field(None, min_length=1, max_length=40)
    """None: UTF-8, or UTF-16 with a byte order mark."""
    nulls: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "NULL")
    """Fields that stand for no value, unless they are quoted."""


class Column(Part):
    """What a column must look like."""

    type: Literal["integer", "number", "text", "boolean", "date", "timestamp"]
    nullable: bool = False
    unique: bool = False
    values: tuple[str | int, ...] | None = Field(None, min_length=1)
    """The only values, in the order of their indexes where they are labels."""
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.type not in ("integer", "number") and (self.min is not None or self.max is not None):
            raise problem("", Words(f"min or max of a {self.type}"), "none: they are for integers and numbers")
        return self


class Time(Part):
    """A split by time: the first split has the earliest rows."""

    column: Name
    starts: dict[SplitName, str] | None = Field(None, min_length=1)
    """When each split but the first, `train`, begins; None: by shares."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.starts and "train" in self.starts:
            raise problem("starts", "train", "other names: train is what is before the first of them")
        return self


class Split(Part):
    """How rows are split. Rows that are equal, or of one group, are never in different splits."""

    shares: dict[SplitName, Share] = Field(default={"train": 0.8, "eval": 0.2}, min_length=1, max_length=20)
    group: tuple[Name, ...] = ()
    """Rows with equal values in these columns stay together."""
    stratify: Name | None = None
    """The column whose values have the same shares in each split, as far as groups allow."""
    time: Time | None = None
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        total = sum(self.shares.values())
        if abs(total - 1) > 1e-6:
            raise problem("shares", round(total, 6), "shares whose sum is 1")
        if self.time and (self.group or self.stratify):
            raise problem("time", self.time.column, "no group and no stratify: a time alone decides")
        if "data" in {*self.shares, *((self.time and self.time.starts) or ())}:
            raise problem("", "data", "other names of splits: data is the whole of a dataset without splits")
        return self


class Images(Part):
    """How much copies of images differ; each change is drawn between nothing and its value."""

    flip: bool = False
    """Half of the copies are mirrored, left to right."""
    rotate: float = Field(0, ge=0, le=180)
    """Degrees."""
    shift: float = Field(0, ge=0, le=1)
    """Share of the width and height."""
    brightness: float = Field(0, ge=0, le=1)
    contrast: float = Field(0, ge=0, le=1)
    noise: float = Field(0, ge=0, le=1)
    """Standard deviation, as a share of the range of values."""


class Augment(Part):
    """Copies of the training split's rows or images, which are changed a little."""

    split: SplitName = "train"
    copies: int = Field(1, ge=1, le=100)
    seed: int = Field(0, ge=0)
    images: Images | None = None
    noise: float | None = Field(None, gt=0)
    """For tables: the standard deviation of what is added to each number feature, as a share of the column's."""


class Output(Part):
    """How the dataset is written."""

    format: Literal["csv", "parquet", "npz", "images"] | None = None
    """None: as the source; tables from databases and synthetic ones as parquet."""
    label: Name | None = None
    """npz: the column that becomes `y`; texts become indexes. Tables: for the counts of classes alone."""
    features: tuple[Name, ...] | None = None
    """npz: the columns that become `x`; None for all numbers and booleans."""
    arrays: Literal["matrix", "columns"] = "matrix"
    """npz: one array `x`, or an array for each feature under its own name."""
    keep: tuple[Name, ...] = ()
    """npz: other columns that become arrays, such as those that name slices."""
    size: tuple[int, int] | None = None
    """npz from images: height and width to which they are resized."""
    channels: Literal[1, 3] = 3
    """npz from images: gray or color."""
    partition: Name | None = None
    """csv and parquet: a date or timestamp by whose day rows are put in folders `date=YYYY-MM-DD`."""


class Recipe(Part):
    """A recipe."""

    source: Source
    csv: Csv = Csv()
    columns: dict[Name, Column] = Field(default={}, max_length=10_000)
    """The schema: each column must exist; empty for any table, whose types are found in its values."""
    other_columns: Action = "reject"
    """What to do with columns that the schema does not name, if there is one."""
    duplicates: Action = "reject"
    """What to do with rows that are equal, and images with equal pixels."""
    split: Split | None = None
    """None: one part, `data`."""
    augment: Augment | None = None
    output: Output = Output()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.augment and (self.augment.images is None) == (self.augment.noise is None):
            raise problem("augment", Words("neither or both"), "one of images and noise")
        names = _split_names(self.split)
        if self.augment and self.augment.split not in names:
            raise problem("augment.split", self.augment.split, f"one of {', '.join(names)}")
        return self


def _split_names(split: Split | None) -> list[str]:
    if split is None:
        return ["data"]
    if split.time and split.time.starts:
        return ["train", *split.time.starts]
    return list(split.shares)


def read_recipe(file: Path) -> Recipe:
    """Read a recipe, YAML or JSON; raise Unusable naming the field."""
    return read_document(Recipe, file, "recipe")
