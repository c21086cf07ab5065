"""The error type of contracts, and the shortening of values in messages."""


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
    """Return a value as text of at most about 100 characters."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:80]}… ({len(text)} characters)"
