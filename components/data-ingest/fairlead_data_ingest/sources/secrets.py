"""URLs that may have a password or a signature: from the environment or a mounted file, never from the recipe."""

import os
from pathlib import Path


def read_secret(variable: str | None, file: str | None, base: Path) -> tuple[str, str]:
    """Return how messages name the secret, and its text; an empty one if it is absent."""
    if variable:
        return f"${variable}", os.environ.get(variable, "").strip()
    try:
        return str(file), (base / str(file)).read_text().strip()
    except (OSError, ValueError):
        return str(file), ""
