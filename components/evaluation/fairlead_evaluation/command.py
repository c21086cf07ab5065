"""The command `fairlead-evaluation`, whose work a child process does."""

from fairlead_datasets import child


def main() -> int:
    """Evaluate in a child process and return its exit code."""
    return child.run("fairlead-evaluation", _evaluate)


def _evaluate() -> int:
    from .main import main as evaluate

    return evaluate()
