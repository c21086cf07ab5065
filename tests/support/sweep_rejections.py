"""Invalid Sweeps and the words of their error messages."""

from typing import Any

from tests.support.resources import SWEEP, Object, change

_LR = {"name": "lr", "double": {"min": 0.1, "max": 1}}
_POLICY = "spec__template__spec__runPolicy"
_POD = "spec__template__spec__workers__template__spec__"


def _parameter(**space: Any) -> Object:
    return change(SWEEP, spec__parameters=[{"name": "lr"} | space])


SWEEP_REJECTIONS: tuple[tuple[str, Object, tuple[str, ...]], ...] = (
    ("an unknown goal", change(SWEEP, spec__objective__goal="Best"), ("goal", "Minimize")),
    ("no metric", change(SWEEP, spec__objective__metric=""), ("metric",)),
    ("an unknown algorithm", change(SWEEP, spec__algorithm={"name": "Magic"}), ("algorithm", "TPE")),
    ("no trials", change(SWEEP, spec__maxTrials=0), ("maxTrials",)),
    ("too many trials", change(SWEEP, spec__maxTrials=501), ("maxTrials", "500")),
    ("more values than a status holds",
     change(SWEEP, spec__maxTrials=500, spec__parameters=[_LR | {"name": f"p{n}"} for n in range(9)]),
     ("maxTrials: expected at most 4000 divided by the number of parameters",)),
    ("no parallelism", change(SWEEP, spec__parallelism=0), ("parallelism",)),
    ("no parameters", change(SWEEP, spec__parameters=[]), ("parameters",)),
    ("too many parameters",
     change(SWEEP, spec__parameters=[_LR | {"name": f"p{n}"} for n in range(21)]), ("parameters", "20")),
    ("a name with a space", change(SWEEP, spec__parameters=[_LR | {"name": "l r"}]), ("name",)),
    ("a parameter without values", _parameter(), ("expected exactly one of double, integer and categorical",)),
    ("a parameter of two kinds", _parameter(double={"min": 0, "max": 1}, integer={"min": 0, "max": 1}),
     ("expected exactly one of double, integer and categorical",)),
    ("an empty range", _parameter(double={"min": 1, "max": 1}), ("max: expected more than min",)),
    ("an empty range of integers", _parameter(integer={"min": 2, "max": 1}), ("max: expected more than min",)),
    ("a log of nothing", _parameter(double={"min": 0, "max": 1, "log": True}), ("min: expected more than 0 with log",)),
    ("a log of a negative integer", _parameter(integer={"min": -1, "max": 9, "log": True}),
     ("min: expected more than 0 with log",)),
    ("a log with steps", _parameter(double={"min": 1, "max": 9, "step": 2, "log": True}), ("step: expected none",)),
    ("a step of nothing", _parameter(integer={"min": 1, "max": 9, "step": 0}), ("step",)),
    ("an endless number", _parameter(double={"min": 0, "max": 1e300}), ("max",)),
    ("no values", _parameter(categorical={"values": []}), ("values",)),
    ("two equal values", _parameter(categorical={"values": ["a", "a"]}), ("values: expected no two that are equal",)),
    ("a value of two lines", _parameter(categorical={"values": ["a\nb"]}), ("values",)),
    ("a grid without steps", change(SWEEP, spec__algorithm={"name": "Grid"}),
     ("parameters: expected a step in every double",)),
    ("pruning at step 0", change(SWEEP, spec__pruning={"minSteps": 0}), ("minSteps",)),
    ("pruning nothing", change(SWEEP, spec__pruning={"minSteps": 1, "reductionFactor": 1}), ("reductionFactor",)),
    ("Hyperband without an end", change(SWEEP, spec__pruning={"algorithm": "Hyperband", "minSteps": 1}),
     ("maxSteps: got none, expected one with Hyperband",)),
    ("a first rung beyond the end", change(SWEEP, spec__pruning={"minSteps": 9, "maxSteps": 9}),
     ("maxSteps: expected more than minSteps",)),
    ("a suspended template", change(SWEEP, **{_POLICY: {"suspend": True}}), ("expected false; suspend the sweep",)),
    ("a template that goes away", change(SWEEP, **{_POLICY: {"ttlSecondsAfterFinished": 1}}),
     ("expected none; set that of the sweep",)),
    ("a template of another controller", change(SWEEP, **{_POLICY: {"managedBy": "kueue.x-k8s.io/multikueue"}}),
     ("managedBy: expected none",)),
    ("a template on the host's network", change(SWEEP, **{f"{_POD}hostNetwork": True}), ("hostNetwork",)),
    ("a template without a trainer", change(SWEEP, **{f"{_POD}containers__0__name": "main"}),
     ("expected one container named trainer",)),
    ("a name too long for the trials' names", change(SWEEP, metadata__name="a" * 46), ("name", "45")),
)  # fmt: skip
"""(reason, resource, words)"""
