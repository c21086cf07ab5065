"""Makes the tool of cluster/kind importable: it is run from its folder, not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "cluster" / "kind"))
