"""What a ModelDeployment may say with `engine: Seldon`: only what a SeldonDeployment can express.

Rules for single nodes, which are nested, are checks of the operator.
"""

from fairlead.api.base import Rule

_SHADOWS = "size(self.predictors.filter(p, has(p.shadow)))"

ENGINE_RULES = (
    Rule(
        "self.engine == oldSelf.engine",
        "engine: field is immutable; create another deployment and move its clients",
        field=".engine",
    ),
    Rule(
        "self.engine != 'Seldon' || !has(self.rollout)",
        "rollout: expected none with engine Seldon, which does not measure candidates",
        lambda spec: spec.engine != "Seldon" or spec.rollout is None,
        field=".rollout",
    ),
    Rule(
        "self.engine != 'Seldon' || !has(self.stickiness)",
        "stickiness: expected none with engine Seldon, whose ingress decides each request by itself",
        lambda spec: spec.engine != "Seldon" or spec.stickiness is None,
        field=".stickiness",
    ),
    Rule(
        "self.engine != 'Seldon' || !has(self.monitor)",
        "monitor: expected none with engine Seldon, whose pods the operator does not ask",
        lambda spec: spec.engine != "Seldon" or spec.monitor is None,
        field=".monitor",
    ),
    Rule(
        f"self.engine != 'Seldon' || {_SHADOWS} < 2",
        "predictors: expected at most one shadow with engine Seldon",
        lambda spec: spec.engine != "Seldon" or len(spec.predictors) - len(spec.live) < 2,
        f"'predictors: got %d shadows, expected at most one with engine Seldon'.format([{_SHADOWS}])",
        field=".predictors",
    ),
    Rule(
        "self.engine != 'Seldon' || !has(self.autoscaling) || !has(self.autoscaling.targetConcurrency)",
        "autoscaling: expected no targetConcurrency with engine Seldon, whose executor does not count it",
        lambda spec: spec.engine != "Seldon" or not spec.autoscaling or spec.autoscaling.target_concurrency is None,
        field=".autoscaling",
    ),
)
