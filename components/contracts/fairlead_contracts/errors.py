"""The one error of a contract, and how values of any size are shown in messages."""


class ContractError(ValueError):
    """A value does not follow its contract: names the field, the value and what was expected."""

    def __init__(self, field: str, got: object, expected: str) -> None:
        super().__init__(f"{field}: got {shorten(got)}, expected {expected}")
        self.field, self.got, self.expected = field, got, expected


class Words(str):
    """Words that describe a value: shown in a message without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the words."""
        return str(self)


def shorten(value: object) -> str:
    """Return a value of any size as text of about 100 characters."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:80]}… ({len(text)} characters)"
