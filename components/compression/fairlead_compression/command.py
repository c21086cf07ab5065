"""The command `fairlead-compress`, whose work a child process does."""

from fairlead_datasets import child


def main() -> int:
    """Compress in a child process and return its exit code."""
    return child.run("fairlead-compress", _compress)


def _compress() -> int:
    from .main import main as compress

    return compress()
