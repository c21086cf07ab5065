"""Ids of predictions that say who has answered, so that feedback finds it."""

import re
import secrets

PUID = "Seldon-Puid"
"""The header, and in lower case the metadata, with the id of a prediction."""
MAX_PUID = 128
"""Longer ids are cut off."""
FEEDBACK_BYTES = 256 << 10
"""Feedback up to this size is searched for the answer's puid: nothing else happens while it is parsed."""
_OWN = re.compile(r"[0-9a-f]{32}-(.+)")


def make_puid(revision: str) -> str:
    """Return an id that names the revision."""
    return f"{secrets.token_hex(16)}-{revision}"


def read_answerer(puid: str) -> str:
    """Return the revision that an id names; empty if no server of ours has made it."""
    found = _OWN.fullmatch(puid)
    return found[1] if found else ""
