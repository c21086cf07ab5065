"""URLs of servers."""

import re
from urllib.parse import SplitResult, urlsplit

from fairlead_contracts.base import URI
from fairlead_datasets.errors import Unusable


def split_url(url: str, option: str, expected: str) -> SplitResult:
    """Return the parts of an http(s) URL; raise Unusable, without showing it, for any that is more than a place.

    What looks like no user to a parser can be a password: all before an `@` is rejected.
    """
    wrong = Unusable(f"{option}: expected {expected}, without a user or a query")
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None  # parses the port, too
    except ValueError:
        raise wrong from None
    plain = re.fullmatch(URI, url) and "@" not in parts.netloc and not parts.query and not parts.fragment
    if parts.scheme not in ("http", "https") or not host or not plain:
        raise wrong
    return parts
