"""The error type of contracts, and the shortening of values in messages."""

import reprlib
from itertools import islice


class ContractError(ValueError):
    """A value does not follow its contract: names the field, the value and what was expected."""

    def __init__(self, field: str, got: object, expected: str) -> None:
        super().__init__(f"{field}: got {shorten(got)}, expected {expected}")
        self.field, self.got, self.expected = field, got, expected


class Words(str):
    """A description of a value, shown in messages without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text without quotes."""
        return str(self)


def shorten(value: object) -> str:
    """Return a value as text of at most about 100 characters, whatever its size and depth."""
    if isinstance(value, str | bytes) and len(value) > 100:
        return f"{value[:80]!r}… ({len(value)} characters)"
    text = repr(value) if isinstance(value, Words) else _SHORT.repr(value)
    return text if len(text) <= 100 else f"{text[:80]}…"


class _Short(reprlib.Repr):
    """A repr that looks at a few elements only, and keeps their order."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict = 5, 20, 20, 20
        self.maxstring = self.maxlong = self.maxother = 100

    def repr_dict(self, value: dict[object, object], level: int) -> str:
        """Return a dict's first elements, unsorted."""
        if level <= 0 and value:
            return "{...}"
        parts = [
            f"{self.repr1(key, level - 1)}: {self.repr1(item, level - 1)}" for key, item in islice(value.items(), 20)
        ]
        return "{" + ", ".join([*parts, *(["..."] if len(value) > len(parts) else [])]) + "}"


_SHORT = _Short()
