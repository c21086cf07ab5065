"""An edge bundle: the files of an artifact of kind edge-bundle, and bundle.json, which describes the model in it.

This module is imported on devices.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from .errors import ContractError
from .plain import below, get, load_json, require

KIND = "edge-bundle"
MODEL_FILE, BUNDLE_FILE, PARITY_FILE = "model.onnx", "bundle.json", "parity.json"
PARITY_TEXT_FILE, SELF_TEST_FILE, REFERENCE_FILE = "parity.txt", "self-test.npz", "reference.json"
SCHEMA = "fairlead.dev/edge-bundle/v3"
_SECOND_SCHEMA, _FIRST_SCHEMA = "fairlead.dev/edge-bundle/v2", "fairlead.dev/edge-bundle/v1"
MAX_BYTES = 1 << 20
MAX_NAME, MAX_LABELS, MAX_LABEL, MAX_FILES = 253, 10_000, 256, 16
MAX_OUTPUTS, MAX_ARCHITECTURES, MAX_VERSION = 64, 16, (1 << 53) - 1
_FIRST_TARGET = "onnx-int8"
"""The only target of bundles in the first schema, which has the digest of its only file and names neither."""
_TARGET, _FILE, _SHA256 = map(re.compile, ("[a-z0-9]+(-[a-z0-9]+)*", "[A-Za-z0-9_][A-Za-z0-9_.-]*", "[0-9a-f]{64}"))
_ARCHITECTURE = re.compile("[a-z0-9_]{1,32}")


@dataclass(frozen=True)
class Preprocessing:
    """The runtime's preprocessing of a value: value * scale + offset."""

    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            require(math.isfinite(value), name, value, "a finite number")

    def to_json(self) -> dict[str, float]:
        """Return the preprocessing as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class SelfTest:
    """self-test.npz: inputs as clients send them, and the outputs that the target had for them when it was built."""

    sha256: str
    """The file's SHA-256."""
    tolerances: tuple[float, ...]
    """How large the mean difference of each output may be on a device, in the output's own unit."""

    def __post_init__(self) -> None:
        valid = type(self.sha256) is str and _SHA256.fullmatch(self.sha256) is not None
        require(valid, "sha256", self.sha256, "64 lowercase hexadecimal digits")
        fits = 0 < len(self.tolerances) <= MAX_OUTPUTS and all(
            type(each) is float and math.isfinite(each) and each >= 0 for each in self.tolerances
        )
        require(fits, "tolerances", list(self.tolerances), f"1 to {MAX_OUTPUTS} finite numbers of at least 0")


@dataclass(frozen=True)
class BundleDescription:
    """bundle.json: what the runtime needs besides the model; raises ContractError if a value is out of bounds."""

    name: str
    """The model's name in requests."""
    preprocessing: Preprocessing
    """The preprocessing of each value."""
    labels: tuple[str, ...]
    """Class names, by the first output's columns; empty if the model is not a classifier."""
    target: str
    """The target that the model was built for."""
    files: Mapping[str, str]
    """SHA-256 of each of the model's files, by its name."""
    version: int = 0
    """The number of the release; a device accepts none that is lower than that of what it has run."""
    architectures: tuple[str, ...] = ()
    """The processors that it may run on, as `uname -m` names them; all, if empty."""
    self_test: SelfTest | None = None
    """What a device checks before it serves the model."""

    def __post_init__(self) -> None:
        self._check_release()
        require(0 < len(self.name) <= MAX_NAME, "name", self.name, f"1 to {MAX_NAME} characters")
        fits = len(self.labels) <= MAX_LABELS and all(
            type(each) is str and len(each) <= MAX_LABEL for each in self.labels
        )
        require(fits, "labels", list(self.labels), f"at most {MAX_LABELS} strings of at most {MAX_LABEL} characters")
        named = len(self.target) <= MAX_NAME and _TARGET.fullmatch(self.target) is not None
        require(named, "target", self.target, "lowercase letters, digits and hyphens")
        require(0 < len(self.files) <= MAX_FILES, "files", list(self.files), f"1 to {MAX_FILES} files")
        for name, digest in self.files.items():
            plain = len(name) <= MAX_NAME and _FILE.fullmatch(name) is not None
            own = name in (BUNDLE_FILE, PARITY_FILE, PARITY_TEXT_FILE, SELF_TEST_FILE, REFERENCE_FILE)
            require(plain and not own, "files", name, "plain names of model files")
            valid = type(digest) is str and _SHA256.fullmatch(digest) is not None
            require(valid, f"files.{name}", digest, "64 lowercase hexadecimal digits")

    def _check_release(self) -> None:
        valid = type(self.version) is int and 0 <= self.version <= MAX_VERSION
        require(valid, "version", self.version, f"an integer of 0 to {MAX_VERSION}")
        fits = len(self.architectures) <= MAX_ARCHITECTURES and all(
            type(each) is str and _ARCHITECTURE.fullmatch(each) for each in self.architectures
        )
        expected = f"at most {MAX_ARCHITECTURES} names of lowercase letters, digits and underscores"
        require(fits, "architectures", list(self.architectures), expected)

    @classmethod
    def parse_json(cls, content: bytes, at: str) -> Self:
        """Parse the file's content, named `at` in errors; raise ContractError."""
        document = load_json(content, MAX_BYTES, at)
        try:
            schema = get(document, "schema", str, repr(SCHEMA))
            require(schema in (SCHEMA, _SECOND_SCHEMA, _FIRST_SCHEMA), "schema", schema, repr(SCHEMA))
            first, has_release = schema == _FIRST_SCHEMA, schema == SCHEMA
            return cls(
                name=get(document, "name", str, "a string"),
                preprocessing=_parse_preprocessing(get(document, "preprocessing", dict, "an object")),
                labels=tuple(get(document, "labels", list, "a list of strings")),
                target=_FIRST_TARGET if first else get(document, "target", str, "a string"),
                files=(
                    {MODEL_FILE: get(document, "sha256", str, "a string")}
                    if first
                    else get(document, "files", dict, "an object")
                ),
                version=get(document, "version", int, "an integer") if has_release else 0,
                architectures=tuple(get(document, "architectures", list, "a list of names")) if has_release else (),
                self_test=_parse_self_test(document) if has_release else None,
            )
        except ContractError as error:
            raise (error if error.field else below(at, error)) from None

    def to_json(self) -> dict[str, Any]:
        """Return the description as a JSON object."""
        return {"schema": SCHEMA, **json.loads(json.dumps(asdict(self)))}

    def to_text(self) -> str:
        """Return the file's content; equal descriptions have equal texts."""
        return json.dumps(self.to_json(), indent=1, sort_keys=True)


def _parse_self_test(document: object) -> SelfTest | None:
    found = get(document, "self_test", (dict, type(None)), "an object or null")
    if found is None:
        return None
    try:
        numbers = get(found, "tolerances", list, "a list of numbers")
        require(all(type(each) in (int, float) for each in numbers), "tolerances", numbers, "a list of numbers")
        return SelfTest(get(found, "sha256", str, "a string"), tuple(float(each) for each in numbers))
    except OverflowError:
        raise ContractError("self_test.tolerances", numbers, "numbers of 64 bits") from None
    except ContractError as error:
        raise below("self_test", error) from None


def _parse_preprocessing(document: object) -> Preprocessing:
    try:
        scale, offset = (get(document, key, (int, float), "a number") for key in ("scale", "offset"))
        return Preprocessing(float(scale), float(offset))
    except OverflowError:
        raise ContractError("preprocessing", document, "numbers of 64 bits") from None
    except ContractError as error:
        raise below("preprocessing", error) from None
