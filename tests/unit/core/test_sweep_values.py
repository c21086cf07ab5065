"""The values of a trial's parameters: each is allowed, and those of a grid are all different."""

import itertools
from typing import Any

import pytest
from fairlead.api.sweep_parameters import Parameter
from fairlead.core.sweep.values import (
    are_allowed,
    choose_grid,
    choose_random,
    count_points,
    count_values,
    format_value,
    is_allowed,
)


def parameter(name: str = "p", **space: Any) -> Parameter:
    return Parameter.model_validate({"name": name} | space)


SPACES = [
    parameter("lr", double={"min": 1e-5, "max": 0.1, "log": True}),
    parameter("momentum", double={"min": 0.1, "max": 0.7, "step": 0.2}),
    parameter("dropout", double={"min": -0.5, "max": 0.5}),
    parameter("width", integer={"min": 8, "max": 64, "step": 8}),
    parameter("depth", integer={"min": 1, "max": 100, "log": True}),
    parameter("optimizer", categorical={"values": ["adam", "sgd", "1e-3"]}),
]


@pytest.mark.parametrize("seed", range(50))
def test_random_values_are_allowed_and_depend_on_seed_and_number_alone(seed: int) -> None:
    for number in range(1, 20):
        values = choose_random(SPACES, seed, number)
        assert are_allowed(SPACES, values), values
        assert values == choose_random(SPACES, seed, number)
        assert values != choose_random(SPACES, seed, number + 1)
        assert values != choose_random(SPACES, seed + 1, number)


def test_another_parameter_does_not_change_the_values_of_the_first() -> None:
    alone, both = choose_random(SPACES[:1], 0, 1), choose_random(SPACES, 0, 1)
    assert alone["lr"] == both["lr"]


@pytest.mark.parametrize("space", SPACES[:5], ids=lambda space: space.name)
def test_random_numbers_spread_over_the_whole_range(space: Parameter) -> None:
    numbers = sorted(float(choose_random([space], 3, number)[space.name]) for number in range(1, 501))
    limits = space.double or space.integer
    assert limits is not None
    if limits.log:  # each decade has about as many
        below = sum(number < (limits.min * limits.max) ** 0.5 for number in numbers)
        assert 200 < below < 300
    else:
        assert 0.45 < (sum(numbers) / len(numbers) - limits.min) / (limits.max - limits.min) < 0.55


def test_a_grid_has_every_combination_once_and_then_ends() -> None:
    spaces = [SPACES[1], SPACES[3], SPACES[5]]
    assert count_points(spaces) == 4 * 8 * 3
    points = [choose_grid(spaces, number) for number in range(1, 97)]
    assert all(point and are_allowed(spaces, point) for point in points)
    expected = itertools.product(("0.1", "0.3", "0.5", "0.7"), map(str, range(8, 65, 8)), ("adam", "sgd", "1e-3"))
    assert [tuple(point.values()) for point in points if point] == list(expected)
    assert choose_grid(spaces, 97) is None


@pytest.mark.parametrize(
    ("space", "count"),
    [
        pytest.param({"min": 0, "max": 0.3, "step": 0.1}, 4, id="0.3 / 0.1 is less than 3 in floating point"),
        pytest.param({"min": 0.1, "max": 1, "step": 0.4}, 3, id="the end is no step"),
        pytest.param({"min": 1e-5, "max": 1e-4, "step": 1e-5}, 10, id="small steps"),
        pytest.param({"min": -1, "max": 1, "step": 5}, 1, id="a step beyond the end"),
    ],
)
def test_the_values_of_a_double_with_steps_are_counted_as_they_were_written(space: Any, count: int) -> None:
    assert count_values(parameter(double=space)) == count


@pytest.mark.parametrize(
    ("space", "text"),
    [
        ({"double": {"min": 0, "max": 1}}, "1.1"), ({"double": {"min": 0, "max": 1}}, "nan"),
        ({"double": {"min": 0, "max": 1}}, "x"), ({"double": {"min": 0, "max": 1, "step": 0.25}}, "0.3"),
        ({"integer": {"min": 0, "max": 9}}, "1.5"), ({"integer": {"min": 0, "max": 9, "step": 3}}, "4"),
        ({"integer": {"min": 0, "max": 9}}, "10"), ({"categorical": {"values": ["a"]}}, "b"),
    ],
)  # fmt: skip
def test_other_values_are_not_allowed(space: Any, text: str) -> None:
    assert not is_allowed(parameter(**space), text)


def test_values_of_other_parameters_are_not_allowed() -> None:
    space = [parameter("a", categorical={"values": ["1"]})]
    assert are_allowed(space, {"a": "1"})
    assert not are_allowed(space, {})
    assert not are_allowed(space, {"a": "1", "b": "1"})


def test_a_number_that_is_rounded_stays_in_its_range() -> None:
    third = parameter(double={"min": 1 / 3, "max": 2 / 3})
    assert is_allowed(third, format_value(third, 1 / 3))
    assert is_allowed(third, format_value(third, 2 / 3))


@pytest.mark.parametrize(
    ("low", "high"), [(1000.0, 1000.001), (-7e8, -7e8 + 1), (1.0, 1.0 + 1e-9), (1e-9, 1e-8), (0.0, 1e-30)]
)
def test_numbers_of_a_narrow_range_differ_and_stay_in_it(low: float, high: float) -> None:
    space = parameter(double={"min": low, "max": high})
    found = {choose_random([space], 1, number)["p"] for number in range(1, 101)}
    assert len(found) > 95
    assert all(is_allowed(space, text) for text in found)
