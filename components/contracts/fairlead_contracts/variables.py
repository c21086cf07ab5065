"""The values of environment variables: each function returns the value, or raises ValueError with what was expected."""

import math
import re
from collections.abc import Callable
from fractions import Fraction

_BINARY = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_UNITS = {**_BINARY, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_integer(least: int, most: int) -> Callable[[object], object]:
    """Return a function that parses an integer within bounds."""

    def parse(value: object) -> object:
        number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else value
        if type(number) is not int or not least <= number <= most:
            raise ValueError(f"an integer of at least {least} and at most {most}")
        return number

    return parse


def parse_seconds(value: object) -> object:
    """Parse a number of seconds, below one day."""
    try:
        number = float(value) if isinstance(value, str | int) else value
    except ValueError:
        number = None
    if not isinstance(number, float) or not 0 < number < 86400:
        raise ValueError("a number of seconds above 0 and below one day")
    return number


def parse_quantity(value: object) -> object:
    """Parse a number of bytes, with a unit as Kubernetes writes it; a part of a byte counts as one, as there."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(|[KMGT]i|[kMGT])", value) if isinstance(value, str) else None
    number = math.ceil(Fraction(match[1]) * _UNITS[match[2]]) if match else value
    if type(number) is not int or not 0 < number < 1 << 60:
        raise ValueError("a number of bytes, such as 50Gi")
    return number


def parse_host_port(value: object) -> object:
    """Check a host and a port."""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("host:port")
    return value
