"""The environment of what only benchmarks need."""

import hashlib
import subprocess
import sys
from pathlib import Path

from fairlead_cluster.base.home import CHECKOUT, default_home


def make_environment(requirements: Path = CHECKOUT / "bench" / "requirements.txt") -> Path:
    """Return the Python of an environment with what benchmarks compare with, and draw with.

    Peers that cannot share one have requirements and an environment of their own, named after their file.
    """
    own = "bench" if requirements.stem == "requirements" else f"bench-{requirements.stem}"
    folder = default_home() / "envs" / own
    made = folder / "requirements.sha256"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not made.exists() or made.read_text() != digest:
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", folder], check=True)
        pip = [*uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
        subprocess.run([*pip, "--require-hashes", "-r", requirements], check=True)
        made.write_text(digest)
    return folder / "bin" / "python"
