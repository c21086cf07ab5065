"""Ids of predictions: which ones count, and those that say who has answered, so that feedback finds it."""

import re
import secrets

PUID = "Seldon-Puid"
"""The header, and in lower case the metadata, with the id of a prediction."""
MAX_PUID = 128
"""The maximum length of an id, which is repeated in a header of the response."""
FEEDBACK_BYTES = 256 << 10
"""Feedback up to this size is searched for the answer's puid: nothing else happens while it is parsed."""
_OWN = re.compile(r"[0-9a-f]{32}-(.+)")


def is_puid(text: str) -> bool:
    """Return whether a text can be an id."""
    return len(text) <= MAX_PUID and text.isascii() and text.isprintable()


def clean_puid(text: str) -> str:
    """Return the id that a client has set outside of the message, cut off if it is too long; empty if it is none."""
    cut = text[:MAX_PUID]
    return cut if is_puid(cut) else ""


def make_puid(revision: str) -> str:
    """Return an id that names the revision."""
    return f"{secrets.token_hex(16)}-{revision}"


def read_answerer(puid: str) -> str:
    """Return the revision that an id names; empty if no server of ours has made it."""
    found = _OWN.fullmatch(puid)
    return found[1] if found else ""
