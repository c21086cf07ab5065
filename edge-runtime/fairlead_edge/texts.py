"""Texts of others in messages and tables: on one line, printable, and of a bounded length."""


def clean(text: str) -> str:
    """Replace what is not printable: names come from data, and reasons from engines, which may repeat names."""
    return "".join(char if char.isprintable() else "?" for char in text)


def shorten_name(name: str, size: int = 64) -> str:
    """Return a name of at most `size` printable characters."""
    return clean(name if len(name) <= size else f"{name[: size - 1]}…")
