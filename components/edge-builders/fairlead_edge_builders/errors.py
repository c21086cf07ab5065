"""The error of the builders."""


class CannotBuild(Exception):
    """The model cannot be built for the engine; the message names the nodes, the input or the engine's reason."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if it has none."""
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
