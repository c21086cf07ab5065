"""The command `fairlead-onnx-converter`, whose work a child process does."""

from fairlead_datasets import child


def main() -> int:
    """Convert in a child process and return its exit code."""
    return child.run("fairlead-onnx-converter", _convert)


def _convert() -> int:
    from .main import main as convert

    return convert()
