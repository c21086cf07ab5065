"""The values of a trial's parameters: those of a grid, random ones, and their form as text.

A trial's values depend on the seed and the trial's number alone, so that a trial which is planned again gets the same.
"""

import math
import random
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import sha256

from fairlead.api.sweep_parameters import DoubleSpace, IntegerSpace, Parameter

Values = dict[str, str]

_DIGITS = 6
"""The significant digits of a number's place in a range without steps: more of them do not matter."""
_STEP_DIGITS = 12
"""Those of a number that is a count of steps away from another: it must remain one."""
_TOLERANCE = 1e-6
"""The part of a step by which a number may miss a whole number of steps."""


def choose_grid(parameters: Sequence[Parameter], number: int) -> Values | None:
    """Return the values of a grid's point, counted from 1; None if it has fewer. The last parameter varies first."""
    index = number - 1
    chosen: Values = {}
    for parameter in reversed(parameters):
        index, place = divmod(index, count_values(parameter))
        chosen[parameter.name] = _value_at(parameter, place)
    return None if index else {parameter.name: chosen[parameter.name] for parameter in parameters}


def count_points(parameters: Sequence[Parameter]) -> int:
    """Return the number of a grid's points."""
    return math.prod(map(count_values, parameters))


def choose_random(parameters: Sequence[Parameter], seed: int, number: int) -> Values:
    """Return random values for a trial."""
    return {each.name: _draw(each, random.Random(derive_seed(seed, number, each.name))) for each in parameters}


def derive_seed(seed: int, number: int, purpose: str) -> int:
    """Return the seed of a trial's random choice, unrelated to those of other trials and purposes."""
    return int.from_bytes(sha256(f"{seed}/{number}/{purpose}".encode()).digest()[:4])


def format_value(parameter: Parameter, value: float | str) -> str:
    """Return a value as text that `is_allowed` accepts, if the value lies in the parameter's space."""
    if parameter.integer:
        return str(int(value))
    if space := parameter.double:
        number = float(f"{float(value):.{_STEP_DIGITS if space.step else _count_digits(space)}g}")
        return repr(min(max(number, space.min), space.max))
    return str(value)


def _count_digits(space: DoubleSpace) -> int:
    """Return how many significant digits tell the numbers of a range apart: more if it is narrow and far from 0."""
    width, largest = space.max - space.min, max(abs(space.min), abs(space.max))
    shared = math.log10(largest / width) if width < largest else 0
    return min(_DIGITS + int(shared), sys.float_info.dig)


def is_allowed(parameter: Parameter, text: str) -> bool:
    """Return whether a text is one of a parameter's values."""
    if parameter.categorical:
        return text in parameter.categorical.values
    space = parameter.double or parameter.integer
    try:
        value = float(text) if parameter.double else int(text)
    except ValueError:
        return False
    if space is None or not math.isfinite(value) or not space.min <= value <= space.max:
        return False
    if space.step is None:
        return True
    steps = (value - space.min) / space.step
    return abs(steps - round(steps)) <= _TOLERANCE


def are_allowed(parameters: Sequence[Parameter], values: Mapping[str, str]) -> bool:
    """Return whether every parameter has a value, and no other one."""
    named = {parameter.name: parameter for parameter in parameters}
    return values.keys() == named.keys() and all(is_allowed(named[name], text) for name, text in values.items())


def count_values(parameter: Parameter) -> int:
    """Return how many values a parameter has; 1 for a range without steps, which has too many."""
    if parameter.categorical:
        return len(parameter.categorical.values)
    if space := parameter.integer:
        return (space.max - space.min) // (space.step or 1) + 1
    if (double := parameter.double) and double.step:
        # as they were written: 0.3 / 0.1 is less than 3
        return int((_exact(double.max) - _exact(double.min)) / _exact(double.step)) + 1
    return 1


def _value_at(parameter: Parameter, place: int) -> str:
    """Return the value at a place of a parameter's values in order."""
    if parameter.categorical:
        return parameter.categorical.values[place]
    space = parameter.double or parameter.integer
    assert space is not None
    if isinstance(space, DoubleSpace):
        return format_value(parameter, float(_exact(space.min) + place * _exact(space.step or 0)))
    return str(space.min + place * (space.step or 1))


def _draw(parameter: Parameter, chance: random.Random) -> str:
    """Return a random value."""
    space = parameter.double or parameter.integer
    if space is None or space.step or (isinstance(space, IntegerSpace) and not space.log):
        return _value_at(parameter, chance.randrange(count_values(parameter)))
    if not space.log:
        return format_value(parameter, chance.uniform(space.min, space.max))
    if isinstance(space, DoubleSpace):
        return format_value(parameter, math.exp(chance.uniform(math.log(space.min), math.log(space.max))))
    # half a unit beyond both ends, so that these are as likely as their neighbors
    found = math.exp(chance.uniform(math.log(space.min - 0.5), math.log(space.max + 0.5)))
    return str(min(max(round(found), space.min), space.max))


def _exact(number: float) -> Decimal:
    return Decimal(repr(number))
