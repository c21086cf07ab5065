"""The base of all JSON contracts: frozen models, strict types, a size limit, and one error type."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from .errors import ContractError, Words

DIGEST = r"^sha256:[0-9a-f]{64}$"
"""An artifact's digest: the SHA-256 of its manifest."""
URI = r"^[!-~]+$"
"""The characters of a URI; fairlead_artifacts parses it."""


class Contract(BaseModel):
    """The base class of contracts: camelCase names, no coercion, no NaN; unknown fields are ignored.

    A whole document has a field `schema_` with the only version that this code reads. The field is optional; version 1
    writes it only in documents that have always had it, because the others are older than their schema names.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        extra="ignore",
        frozen=True,
        strict=True,
    )
    max_bytes: ClassVar[int] = 1 << 20
    """The longest document, in bytes of UTF-8."""

    @classmethod
    def parse_json(cls, content: bytes | str, at: str) -> Self:
        """Parse a document, named `at` in errors; raise ContractError for any invalid content."""
        content = content.encode("utf-8", "replace") if isinstance(content, str) else content
        if len(content) > cls.max_bytes:
            raise ContractError(at, Words(f"{len(content)} bytes"), f"at most {cls.max_bytes}")
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise explain(error, at) from None

    @classmethod
    def parse(cls, document: object, at: str) -> Self:
        """Parse a part of a document from parsed JSON; raise ContractError. `at` is its path in the document."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise explain(error, at, inside=True) from None

    def to_json(self) -> dict[str, Any]:
        """Return the value as a JSON object."""
        return self.model_dump(mode="json")


class Sparse(Contract):
    """A contract that is written without the fields that are None."""

    @model_serializer(mode="wrap")
    def _drop_none(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if value is not None}


def to_line(text: str, limit: int) -> str:
    """Return a text, such as an error's, as one line of at most `limit` characters that PRINTABLE fields accept."""
    return "".join(char if char.isprintable() else " " for char in text[:limit])


def explain(error: ValidationError, at: str, inside: bool = False) -> ContractError:
    """Return the first of pydantic's errors as a ContractError.

    `at` is the document's name or, with `inside`, the path of the part that contains the field.
    """
    first = error.errors(include_url=False)[0]
    kind, context, value = first["type"], first.get("ctx", {}), first["input"]
    loc = (*first["loc"], *((context["at"],) if kind == _PROBLEM and context["at"] else ()))
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    if kind == "json_invalid":
        return ContractError(at, Words("invalid JSON"), f"JSON ({context['error']})")
    if inside:
        field = f"{at}.{field}" if field and not field.startswith("[") else f"{at}{field}"
    if kind == _PROBLEM:
        return ContractError(field or at, context["got"], context["expected"])
    return ContractError(field or at, Words("nothing") if kind == "missing" else value, _describe_expected(first))


def problem(at: str, got: object, expected: str) -> PydanticCustomError:
    """Return the error that a validator raises for the field `at`, or for the model itself if `at` is empty."""
    return PydanticCustomError(_PROBLEM, "{expected}", {"at": at, "got": got, "expected": expected})


def _describe_expected(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    if kind == "string_too_short" and context["min_length"] == 1:
        return "a string that is not empty"
    if kind == "literal_error" and " or " in context["expected"]:
        return f"one of {context['expected']}".replace("'", "").replace(" or ", ", ")
    return _EXPECTED[kind].format(**context) if kind in _EXPECTED else error["msg"]


_PROBLEM = "contract_problem"
PRINTABLE = r"^[^\p{Cc}\x{FFFE}\x{FFFF}]*$"
"""One line of text that YAML can hold: a status with any other could not be written, or read with `kubectl -o yaml`."""
_PATTERNS = {
    PRINTABLE: "one line of text without control characters",
    DIGEST: "sha256: and 64 hexadecimal digits",
    URI: "a URI of printable ASCII characters",
}


_EXPECTED = {
    "missing": "a value",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "extra_forbidden": "no field of this name",
    "greater_than": "more than {gt}",
    "less_than": "less than {lt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "a string that matches {pattern}",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "value_error": "{error}",
}
"""Pydantic's error type -> what was expected."""
