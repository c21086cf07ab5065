"""The recipe: where data come from, what they must look like, how they are split and written."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml  # type: ignore[import-untyped, unused-ignore]
from fairlead_contracts.base import DIGEST, Contract, problem
from fairlead_contracts.errors import ContractError, Words
from fairlead_datasets.errors import Unusable
from pydantic import Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

MAX_BYTES = 256 << 10
"""The longest recipe."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
SplitName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Share = Annotated[float, Field(gt=0, le=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
Action = Literal["reject", "drop", "keep"]


class Part(Contract, extra="forbid"):
    """A part of a recipe; a field that it does not know is an error."""


class Synthetic(Part):
    """A made-up table: classes around centers, and columns of noise."""

    rows: int = Field(ge=1, le=10_000_000)
    features: int = Field(ge=1, le=10_000)
    informative: int | None = Field(None, ge=1)
    """How many of the features depend on the class; None for all."""
    classes: int = Field(2, ge=2, le=1000)
    separation: float = Field(1.0, ge=0)
    """Half of the distance between neighboring centers, in standard deviations of a class."""
    seed: int = Field(0, ge=0)


class Source(Part):
    """Where the data come from: exactly one of the first eight fields."""

    path: str | None = None
    """A file or folder; relative to the recipe's folder."""
    url: str | None = None
    """Without a query: recipes are published."""
    url_variable: str | None = Field(None, pattern=VARIABLE)
    """The environment variable with a URL, which may have a signature."""
    url_file: str | None = None
    """The mounted file with such a URL."""
    object_: str | None = Field(None, alias="object", pattern=r"^(s3|file)://[!-~]+$")
    """A file in the object store that is no artifact."""
    artifact: str | None = Field(None, pattern=r"^(s3|file)://[!-~]+$")
    query: str | None = Field(None, min_length=1)
    """One SELECT or WITH statement, without semicolons."""
    synthetic: Synthetic | None = None
    sha256: Sha256 | None = None
    """The checksum that a file (path, url or object) must have."""
    digest: str | None = Field(None, pattern=DIGEST)
    """The digest that the artifact must have."""
    database_variable: str | None = Field(None, pattern=VARIABLE)
    """The environment variable with the database's URL."""
    database_file: str | None = None
    """The mounted file with the database's URL."""
    files: str = "*"
    """Which files of a folder or an artifact: a pattern of their paths, such as *.csv."""
    format: Literal["csv", "parquet", "images"] | None = None
    """None: by the files' names."""
    size_limit: int = Field(1 << 30, ge=1)
    """The most bytes to read, and of a table, its copies or an array in memory."""

    @property
    def kind(self) -> str:
        """Return which of the sources it is."""
        return next(name for name in SOURCES if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            names = [to_camel(name.rstrip("_")) for name in SOURCES]
            raise problem("", [to_camel(name.rstrip("_")) for name in given], f"exactly one of {', '.join(names)}")
        if (given == ["query"]) != ((self.database_variable is None) != (self.database_file is None)):
            raise problem("", given[0], "a query with one of databaseVariable and databaseFile")
        if self.sha256 and given[0] not in ("path", "url", "object_", "url_variable", "url_file"):
            raise problem("sha256", self.sha256, "none for this source")
        if self.digest and given[0] != "artifact":
            raise problem("digest", self.digest, "none for this source")
        if self.url and (wrong := describe_wrong_url(self.url)):
            raise problem("url", Words(wrong), "http(s)://host/path without: recipes are published")
        if self.url and set("?#") & set(self.url):
            advice = "one without: recipes are published; name the whole URL's urlVariable or urlFile"
            raise problem("url", Words("a URL with a query or a fragment"), advice)
        return self


SOURCES = ("path", "url", "object_", "artifact", "query", "synthetic", "url_variable", "url_file")


def describe_wrong_url(url: str) -> str | None:
    """Return what is wrong with a URL of a download, without what may be secret in it."""
    if not re.fullmatch(r"https?://[!-~]+", url):
        return "what is no URL"
    host = re.split("[/?#]", url.partition("://")[2])[0]
    return "a URL with a user or a password" if "@" in host else None


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
    try:
        content = file.read_bytes()
        if len(content) > MAX_BYTES:
            raise Unusable(f"{file}: got {len(content)} bytes, expected at most {MAX_BYTES}")
        document = yaml.load(content, _Loader)  # a safe loader
        text = json.dumps(document, default=str)
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}, expected a recipe") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise Unusable(f"{file}: is not YAML: {' '.join(str(error).split())}") from None
    try:
        return Recipe.parse_json(text, "recipe")
    except ContractError as error:
        raise Unusable(f"{file}: {error}") from None


class _Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]
    """Loads plain YAML without aliases, which could make a small file large."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Reject an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("has an alias (*name), expected none")
        return super().compose_node(parent, index)
