"""The part of a recipe that says where data come from."""

import re
from typing import Annotated, Literal, Self

from fairlead_contracts.base import DIGEST, Contract, problem
from fairlead_contracts.errors import Words
from pydantic import Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


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
