"""Invalid resources and their error messages, for the pydantic models and the real API server."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.resources import DRIFT, MODEL_DEPLOYMENT, RETRAIN, ROLLOUT, TRAINING_JOB, Object, change
from tests.support.sweep_rejections import SWEEP_REJECTIONS

PUBLIC_KEY = f"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{'A' * 43}=\n-----END PUBLIC KEY-----\n"
UPPER_CASE = "sha256:" + "AB" * 32
_POD = "spec__workers__template__spec__"
_TRAINER = TRAINING_JOB["spec"]["workers"]["template"]["spec"]["containers"][0]
_PREDICTOR = MODEL_DEPLOYMENT["spec"]["predictors"][0]
_SHADOW = _PREDICTOR | {"name": "shadow", "shadow": {"percent": 20}}
_HALVES = [_PREDICTOR | {"traffic": 50}, _PREDICTOR | {"name": "other", "traffic": 50}]
_AUTH = {"auth": {"apiKeySecret": {"name": "keys"}}}
_INIT = {"name": "i", "image": "x"}
_DENIED_IN_POD: tuple[tuple[str, str, Any, str], ...] = (
    ("nodeName", "a node", "n", "nodeName"),
    ("serviceAccount", "the deprecated twin", "admin", "serviceAccount"),
    ("automountServiceAccountToken", "a token", True, "automountServiceAccountToken"),
    ("priorityClassName", "a system class", "system-node-critical", "priorityClassName"),
    ("securityContext", "root", {"runAsUser": 0}, "runAsUser"),
    ("securityContext", "maybe root", {"runAsNonRoot": False}, "runAsNonRoot"),
    ("securityContext", "sysctls", {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, "sysctls"),
    ("securityContext", "no seccomp", {"seccompProfile": {"type": "Unconfined"}}, "RuntimeDefault"),
    ("securityContext", "no AppArmor", {"appArmorProfile": {"type": "Unconfined"}}, "RuntimeDefault"),
    ("securityContext", "an SELinux type", {"seLinuxOptions": {"type": "spc_t"}}, "container_t"),
    ("securityContext", "an SELinux user", {"seLinuxOptions": {"user": "root"}}, "user"),
    ("securityContext", "a Windows host process", {"windowsOptions": {"hostProcess": True}}, "hostProcess"),
)  # fmt: skip
"""(field, reason, value, word of the message)"""
_DENIED_IN_CONTAINER: tuple[tuple[str, Object, str], ...] = (
    ("root", {"securityContext": {"runAsUser": 0}}, "runAsUser"),
    ("escalation", {"securityContext": {"allowPrivilegeEscalation": True}}, "allowPrivilegeEscalation"),
    ("an added capability", {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}, "NET_BIND_SERVICE"),
    ("an unmasked /proc", {"securityContext": {"procMount": "Unmasked"}}, "procMount"),
    ("a port of the node", {"ports": [{"containerPort": 80, "hostPort": 80}]}, "hostPort"),
    ("a probe of another host", {"livenessProbe": {"httpGet": {"port": 80, "host": "10.0.0.1"}}}, "host"),
    ("a hook to another host", {"lifecycle": {"preStop": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}}}, "host"),
)
"""(reason, fields of the container, word of the message)"""


_SELDON: tuple[tuple[str, tuple[str, ...], Object], ...] = (
    ("a rollout in Seldon Core", ("rollout", "expected none with engine Seldon"), {"spec__rollout": ROLLOUT}),
    ("sticky clients in Seldon Core", ("stickiness", "expected none with engine Seldon"),
     {"spec__predictors": _HALVES, "spec__stickiness": {"header": "X-User"}}),
    ("two shadows in Seldon Core", ("predictors", "at most one", "engine Seldon"),
     {"spec__predictors": [_PREDICTOR, _SHADOW, _SHADOW | {"name": "second"}]}),
    ("a monitor in Seldon Core", ("monitor", "expected none with engine Seldon"),
     {"spec__monitor": {"drift": {"windowSeconds": 600, "minRows": 100, "maxPsi": 0.2, "samplePercent": 50}}}),
    ("API keys in Seldon Core", ("server.auth", "expected no", "engine Seldon"),
     {"spec__predictors__0__server": _AUTH}),
    ("routes to Seldon Core", ("expose", "expected none with engine Seldon"),
     {"spec__expose": {"hosts": ["digits.example.com"], "ingress": {}}}),
    ("scaling by concurrency in Seldon Core", ("targetConcurrency", "engine Seldon"),
     {"spec__autoscaling": {"minReplicas": 1, "maxReplicas": 2, "targetConcurrency": 4}}),
)  # fmt: skip
"""(reason, words, changes)"""


_EXPOSE: Object = {"hosts": ["digits.example.com"], "ingress": {}}
_EXPOSED: tuple[tuple[str, tuple[str, ...], Object], ...] = (
    ("no way to expose", ("exactly one of", "ingress"), {"hosts": ["digits.example.com"]}),
    ("two ways to expose", ("exactly one of", "istio"), _EXPOSE | {"istio": {"gateways": ["infra/public"]}}),
    ("no host", ("hosts",), _EXPOSE | {"hosts": []}),
    ("seventeen hosts", ("hosts",), _EXPOSE | {"hosts": [f"h{at}.example.com" for at in range(17)]}),
    ("a host of one label", ("hosts",), _EXPOSE | {"hosts": ["localhost"]}),
    ("an address as a host", ("hosts",), _EXPOSE | {"hosts": ["10.0.0.1"]}),
    ("a wildcard in the middle", ("hosts",), _EXPOSE | {"hosts": ["a.*.example.com"]}),
    ("a wildcard in a label", ("hosts",), _EXPOSE | {"hosts": ["a*.example.com"]}),
    ("a host with a port", ("hosts",), _EXPOSE | {"hosts": ["digits.example.com:80"]}),
    ("a host twice", ("hosts", "no two that are equal"), _EXPOSE | {"hosts": ["a.example.com", "a.example.com"]}),
    ("a host for both protocols", ("grpcHosts", "other names"), _EXPOSE | {"grpcHosts": ["digits.example.com"]}),
    ("a certificate beside a Gateway", ("tls", "expected none without ingress"),
     {"hosts": ["digits.example.com"], "gateway": {"parentRefs": [{"name": "public"}]}, "tls": {"secretName": "s"}}),
    ("a Gateway twice", ("parentRefs", "no two that are equal"),
     {"hosts": ["digits.example.com"], "gateway": {"parentRefs": [{"name": "public"}, {"name": "public"}]}}),
    ("no Gateway", ("parentRefs",), {"hosts": ["digits.example.com"], "gateway": {"parentRefs": []}}),
    ("Istio's sidecars", ("gateways",), {"hosts": ["digits.example.com"], "istio": {"gateways": ["mesh"]}}),
    ("a long annotation", ("annotations",), _EXPOSE | {"ingress": {"annotations": {"a": "x" * 1025}}}),
    ("many annotations", ("annotations",), _EXPOSE | {"ingress": {"annotations": {f"a{at}": "" for at in range(33)}}}),
)  # fmt: skip
"""(reason, words, spec.expose)"""


@dataclass(frozen=True)
class Rejection:
    """An invalid resource; both error messages must contain all `words`."""

    reason: str
    resource: Object
    words: tuple[str, ...]
    at_server: tuple[str, ...] = field(default=())
    """Additional words in the API server's message: the path and the value."""


def _job(reason: str, words: tuple[str, ...], *at_server: str, **changes: Any) -> Rejection:
    return Rejection(reason, change(TRAINING_JOB, **changes), words, at_server)


def _deployment(reason: str, words: tuple[str, ...], *at_server: str, **changes: Any) -> Rejection:
    return Rejection(reason, change(MODEL_DEPLOYMENT, **changes), words, at_server)


def _rollout(reason: str, words: tuple[str, ...], *at_server: str, **changes: Any) -> Rejection:
    valid = change(MODEL_DEPLOYMENT, spec__rollout=ROLLOUT)
    return Rejection(f"a rollout with {reason}", change(valid, **changes), words, at_server)


def _retrain(reason: str, words: tuple[str, ...], *at_server: str, **changes: Any) -> Rejection:
    valid = change(MODEL_DEPLOYMENT, spec__rollout=ROLLOUT, spec__monitor={"drift": DRIFT, "retrain": RETRAIN})
    return Rejection(f"retraining with {reason}", change(valid, **changes), words, at_server)


_TEMPLATE = "spec__monitor__retrain__template__spec__"
REJECTIONS = (
    *(Rejection(f"a sweep with {reason}", resource, words) for reason, resource, words in SWEEP_REJECTIONS),
    _job("zero replicas", ("replicas",), "Invalid value: 0", spec__workers__replicas=0),
    _job("negative replicas", ("replicas",), "Invalid value: -1", spec__workers__replicas=-1),
    _job("huge replicas", ("replicas", "512"), "Invalid value: 100000", spec__workers__replicas=100000),
    _job("no slots", ("slots",), "Invalid value: 0", spec__workers__slots=0),
    _job("an unknown launcher", ("launcher", "Horovod", "Torchrun"), '"Hoarovod"', spec__launcher="Hoarovod"),
    _job("no container named trainer", ("expected one container named trainer",),
         **{f"{_POD}containers": [_TRAINER | {"name": "main"}]}),
    _job("no command", ("command", "expected the training command"),
         **{f"{_POD}containers": [{"name": "trainer", "image": "x"}]}),
    _job("no image", ("image", "expected an image"),
         **{f"{_POD}containers": [{"name": "trainer", "command": ["x"]}]}),
    _job("reversed elastic bounds", ("minReplicas", "maxReplicas"), "got 4",
         spec__elastic={"minReplicas": 4, "maxReplicas": 2}),
    _job("an elastic job of one size", ("minReplicas", "less than maxReplicas", "omit elastic"), "got 2",
         spec__elastic={"minReplicas": 2, "maxReplicas": 2}),
    _job("more workers than an elastic job may have", ("workers.replicas", "elastic.maxReplicas"),
         spec__workers__replicas=5, spec__elastic={"minReplicas": 1, "maxReplicas": 4}),
    _job("fewer workers than an elastic job must have", ("workers.replicas", "elastic.minReplicas"),
         spec__workers__replicas=1, spec__elastic={"minReplicas": 2, "maxReplicas": 4}),
    _job("an elastic job that Kueue admits", ("elastic", "fixed size"),
         spec__elastic={"minReplicas": 1, "maxReplicas": 4},
         spec__runPolicy__schedulingPolicy={"kueue": {}}),
    _job("a checkpoint without an interval", ("everySteps", "expected everySteps or everySeconds"),
         spec__checkpoint={"uri": "s3://abc/b"}),
    _job("a checkpoint every zero steps", ("everySteps",), "Invalid value: 0",
         spec__checkpoint={"uri": "s3://abc/b", "everySteps": 0}),
    _job("a checkpoint to restore that is no URI", ("restoreFrom",), "Newest",
         spec__checkpoint={"uri": "s3://abc/b", "everySteps": 5, "restoreFrom": "Newest"}),
    _job("credentials in a tracking server's URL", ("mlflow", "uri"), "http://me:secret@mlflow",
         spec__tracking={"mlflow": {"uri": "http://me:secret@mlflow:5000", "experiment": "digits"}}),
    _job("a tracking server that is a folder", ("mlflow", "uri"), "file:///runs",
         spec__tracking={"mlflow": {"uri": "file:///runs", "experiment": "digits"}}),
    _job("no experiment", ("mlflow", "experiment"),
         spec__tracking={"mlflow": {"uri": "http://mlflow:5000", "experiment": ""}}),
    _job("an experiment of two lines", ("mlflow", "experiment"),
         spec__tracking={"mlflow": {"uri": "http://mlflow:5000", "experiment": "a\nb"}}),
    _job("an experiment that no environment can hold", ("mlflow", "experiment"),
         spec__tracking={"mlflow": {"uri": "http://mlflow:5000", "experiment": "a\ufffe"}}),
    _job("an unsupported URI scheme", ("uri",), '"ftp://a/b"', spec__dataset={"uri": "ftp://a/b"}),
    _job("a URI with an empty segment", ("uri",), "file:////etc", spec__dataset={"uri": "file:////etc"}),
    _job("a URI without a path", ("uri",), "s3://bucket", spec__model={"uri": "s3://bucket"}),
    _job("an invalid digest", ("digest",), '"sha256:12"',
         spec__dataset={"uri": "s3://data/x", "digest": "sha256:12"}),
    _job("a gate without a digest", ("digest", "requireValidation"),
         spec__dataset={"uri": "s3://data/x", "requireValidation": True}),
    _job("a suite without a gate", ("suite", "requireValidation"),
         spec__dataset={"uri": "s3://data/x", "suite": "sha256:" + "ab" * 32}),
    _job("keys without a gate", ("publicKeys", "requireValidation"),
         spec__dataset={"uri": "s3://data/x", "publicKeys": [PUBLIC_KEY]}),
    _job("a key that is none", ("publicKeys",),
         spec__dataset={"uri": "s3://data/x", "digest": "sha256:" + "ab" * 32, "requireValidation": True,
                        "publicKeys": [PUBLIC_KEY.replace("MCow", "MIIB")]}),
    _job("a private key", ("publicKeys",),
         spec__dataset={"uri": "s3://data/x", "digest": "sha256:" + "ab" * 32, "requireValidation": True,
                        "publicKeys": [PUBLIC_KEY.replace("PUBLIC", "PRIVATE")]}),
    _job("a name too long for the children's names", ("name", "50"), metadata__name="a" * 51),
    _job("a name that is not a DNS label", ("name",), '"1digits"', metadata__name="1digits"),
    _job("hostPath", ("hostPath",), **{f"{_POD}volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
    _job("hostNetwork", ("hostNetwork", "expected false"), **{f"{_POD}hostNetwork": True}),
    _job("hostPID", ("hostPID", "expected false"), **{f"{_POD}hostPID": True}),
    _job("hostIPC", ("hostIPC", "expected false"), **{f"{_POD}hostIPC": True}),
    _job("a privileged container", ("privileged",),
         **{f"{_POD}containers": [_TRAINER | {"securityContext": {"privileged": True}}]}),
    _job("a privileged init container", ("privileged",),
         **{f"{_POD}initContainers": [{"name": "i", "securityContext": {"privileged": True}}]}),
    *(_job(f"{field}: {why}", (word,), **{f"{_POD}{field}": value}) for field, why, value, word in _DENIED_IN_POD),
    *(_job(f"a {kind} with {field}", (words,), **{f"{_POD}{key}": [base | value]})
      for field, value, words in _DENIED_IN_CONTAINER
      for kind, key, base in (("container", "containers", _TRAINER), ("init container", "initContainers", _INIT))),
    *(_job(f"a volume of type {kind}", ("hostPath and other volumes",), **{f"{_POD}volumes": [{"name": "v", kind: {}}]})
      for kind in ("nfs", "iscsi", "flexVolume", "scaleIO", "awsElasticBlockStore", "gitRepo")),
    _job("a token in a projected volume", ("serviceAccountToken", "API server"),
         **{f"{_POD}volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
    _job("a privileged launcher", ("privileged",), spec__launcherTemplate={
        "spec": {"containers": [{"name": "launcher", "securityContext": {"privileged": True}}]}}),
    _job("a launcher on a chosen node", ("nodeName",), spec__launcherTemplate={"spec": {"nodeName": "n"}}),
    _job("a launcher with a command", ("command", "cannot be changed"), spec__launcherTemplate={
        "spec": {"containers": [{"name": "launcher", "command": ["sh"]}]}}),
    _job("a negative backoff limit", ("backoffLimit",), "-1", spec__runPolicy={"backoffLimit": -1}),
    _job("a negative time to live", ("ttlSecondsAfterFinished",), "-1",
         spec__runPolicy={"ttlSecondsAfterFinished": -1}),
    _job("a manager without a domain", ("managedBy",), '"kueue"', spec__runPolicy={"managedBy": "kueue"}),
    _job("a manager with an invalid domain", ("managedBy",), '"Kueue_/x"', spec__runPolicy={"managedBy": "Kueue_/x"}),
    _job("a manager with a long name", ("managedBy", "63"), spec__runPolicy={"managedBy": "a.b/" + "c" * 60}),
    _job("no time for progress", ("progressDeadlineSeconds",), "Invalid value: 0",
         spec__runPolicy={"progressDeadlineSeconds": 0}),
    _job("a negative disruption limit", ("disruptionLimit",), "-1", spec__runPolicy={"disruptionLimit": -1}),
    _job("exit code 0 as a failure", ("exitCodes", "permanent"), "Invalid value: 0",
         spec__runPolicy={"exitCodes": {"permanent": [1, 0]}}),
    _job("an impossible exit code", ("exitCodes", "retryable"), "Invalid value: 256",
         spec__runPolicy={"exitCodes": {"retryable": [256]}}),
    _job("no exit code at all", ("exitCodes", "permanent"), spec__runPolicy={"exitCodes": {"permanent": []}}),
    _job("neither kind of exit codes", ("either permanent or retryable",), spec__runPolicy={"exitCodes": {}}),
    _job("both kinds of exit codes", ("either permanent or retryable",),
         spec__runPolicy={"exitCodes": {"permanent": [1], "retryable": [2]}}),
    _job("a system priority", ("priorityClassName", "system"),
         spec__runPolicy={"schedulingPolicy": {"priorityClassName": "system-node-critical"}}),
    _job("no time to wait for the gang", ("scheduleTimeoutSeconds",), "Invalid value: 0",
         spec__runPolicy={"schedulingPolicy": {"coscheduling": {"scheduleTimeoutSeconds": 0}}}),
    _job("an invalid scheduler", ("schedulerName",), '"My Scheduler"',
         spec__runPolicy={"schedulingPolicy": {"coscheduling": {"schedulerName": "My Scheduler"}}}),
    _deployment("no predictors", ("predictors",), spec__predictors=[]),
    _deployment("containers in the template of the graph server", ("containers",),
                spec__predictors__0__server={"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}),
    _deployment("a pod of the graph server in the node's network", ("hostNetwork",),
                spec__predictors__0__server={"template": {"spec": {"hostNetwork": True}}}),
    _deployment("a graph server without a process", ("processes",), "Invalid value: 0",
                spec__predictors__0__server={"processes": 0}),
    _deployment("a graph server with too many processes", ("processes",), "Invalid value: 17",
                spec__predictors__0__server={"processes": 17}),
    _deployment("an autoscaler with a larger minimum than maximum", ("maxReplicas",),
                spec__autoscaling={"minReplicas": 3, "maxReplicas": 2, "targetConcurrency": 5}),
    _deployment("an autoscaler without a target", ("targetConcurrency",),
                spec__autoscaling={"minReplicas": 1, "maxReplicas": 2}),
    _deployment("a disruption budget without a number", ("minAvailable",), spec__disruptionBudget={}),
    _deployment("a disruption budget with both numbers", ("minAvailable",),
                spec__disruptionBudget={"minAvailable": 1, "maxUnavailable": 1}),
    _deployment("no key at all", ("publicKeys",), spec__requireSignature={"publicKeys": []}),
    _deployment("a key without its frame", ("publicKeys",),
                spec__requireSignature={"publicKeys": [PUBLIC_KEY.splitlines()[1]]}),
    _deployment("a suite that is no digest", ("suite",), spec__requireProvenance={"suite": "pixels"}),
    _deployment("a minimum without its metric", ("metric",), spec__requireModelCard={"minimum": 0.9}),
    _deployment("a metric's title", ("metric",), spec__requireModelCard={"metric": "F1 score"}),
    _deployment("traffic that does not sum to 100", ("traffic", "100"), "sums to 60",
                spec__predictors__0__traffic=60),
    _deployment("two predictors with all the traffic each", ("traffic", "100"), "sums to 200",
                spec__predictors=[_PREDICTOR | {"traffic": 100}, _PREDICTOR | {"name": "other", "traffic": 100}]),
    _deployment("two predictors without traffic", ("traffic", "100"), "sums to 0",
                spec__predictors=[_PREDICTOR, _PREDICTOR | {"name": "other"}]),
    _deployment("a shadow with traffic", ("traffic", "expected none in a shadow"),
                spec__predictors=[_PREDICTOR | {"traffic": 90}, _SHADOW | {"traffic": 10}]),
    _deployment("a shadow without copies", ("percent",), "Invalid value: 0",
                spec__predictors=[_PREDICTOR, _SHADOW | {"shadow": {"percent": 0}}]),
    _deployment("a shadow with more copies than requests", ("percent", "100"), "101",
                spec__predictors=[_PREDICTOR, _SHADOW | {"shadow": {"percent": 101}}]),
    _deployment("shadows alone", ("traffic", "100"), "sums to 0", spec__predictors=[_SHADOW]),
    _deployment("two predictors without traffic beside a shadow", ("traffic", "100"), "sums to 0",
                spec__predictors=[_PREDICTOR, _PREDICTOR | {"name": "other"}, _SHADOW]),
    _deployment("a shadow of a predictor without requests", ("expected traffic above 0 in the first one",),
                spec__predictors=[_SHADOW, _PREDICTOR | {"traffic": 0}, _PREDICTOR | {"name": "b", "traffic": 100}]),
    _deployment("nine predictors", ("predictors", "8"),
                spec__predictors=[_PREDICTOR | {"traffic": 100}] + [_SHADOW | {"name": f"s{n}"} for n in range(8)]),
    _deployment("clients that stay at the only predictor", ("stickiness: expected several predictors",),
                spec__predictors=[_PREDICTOR, _SHADOW], spec__stickiness={"header": "X-User"}),
    _deployment("clients that are known by nothing", ("expected a header or a cookie",),
                spec__predictors=_HALVES, spec__stickiness={}),
    _deployment("clients that are known by a header and a cookie", ("expected a header or a cookie",),
                spec__predictors=_HALVES, spec__stickiness={"header": "X-User", "cookie": "user"}),
    _deployment("a header that is none", ("header",), '"X User"',
                spec__predictors=_HALVES, spec__stickiness={"header": "X User"}),
    _deployment("an autoscaler that would have no effect", ("expected no replicas in the first predictor",),
                spec__predictors__0__replicas=2,
                spec__autoscaling={"minReplicas": 1, "maxReplicas": 2, "targetConcurrency": 5}),
    _deployment("a predictor without keys beside one with them", ("server.auth in all of them or in none",),
                spec__predictors=[_PREDICTOR, _SHADOW | {"server": _AUTH}]),
    _deployment("keys from nowhere", ("apiKeySecret",), spec__predictors__0__server={"auth": {}}),
    _deployment("a Secret that no namespace has", ("name",), '"keys/other"',
                spec__predictors__0__server={"auth": {"apiKeySecret": {"name": "keys/other"}}}),
    _deployment("a file outside of the Secret", ("key",), '"../token"',
                spec__predictors__0__server={"auth": {"apiKeySecret": {"name": "keys", "key": "../token"}}}),
    _deployment("an unknown node type", ("type", "MODEL"), '"ORACLE"', spec__predictors__0__graph__type="ORACLE"),
    _deployment("a malformed model URI", ("modelUri",), '"models/x"',
                spec__predictors__0__graph__modelUri="models/x"),
    _deployment("an unknown engine", ("engine", "Native"), '"Triton"', spec__engine="Triton"),
    *(_deployment(reason, words, spec__engine="Seldon", **changes) for reason, words, changes in _SELDON),
    *(_deployment(reason, words, spec__expose=expose) for reason, words, expose in _EXPOSED),
    _deployment("huge replicas", ("replicas", "512"), "100000", spec__predictors__0__replicas=100000),
    _deployment("a name too long for the children's names", ("name", "40"), metadata__name="a" * 41),
    _deployment("hostPath in a component", ("hostPath",),
                spec__predictors__0__componentSpecs=[
                    {"spec": {"containers": [{"name": "node"}], "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}
                ]),
    _deployment("an invalid digest", ("digest",), f'"{UPPER_CASE}"',
                spec__predictors__0__graph__digest=UPPER_CASE),
    _rollout("no steps", ("steps",), spec__rollout__steps=[]),
    _rollout("more than all traffic", ("traffic", "100"), "101", spec__rollout__steps__0__traffic=101),
    _rollout("a share that falls", ("expected traffic that does not fall",), spec__rollout__steps__0__traffic=60),
    _rollout("a step without requests", ("a candidate without requests shows nothing",),
             spec__rollout__steps__0__traffic=0),
    _rollout("an analysis of nothing", ("expected maxErrorRate, maxP99Seconds, minAgreement or queries",),
             spec__rollout__analysis__maxErrorRate=...),
    _rollout("a query without a limit", ("expected max, min or both",),
             spec__rollout__analysis__queries=[{"name": "cost", "query": "1"}]),
    _rollout("a query that nothing passes", ("expected at most max",),
             spec__rollout__analysis__queries=[{"name": "cost", "query": "1", "min": 2, "max": 1}]),
    _rollout("a query of an unknown name", ("expected no $(…) but $(candidate)",),
             spec__rollout__analysis__queries=[{"name": "cost", "query": "up{pod='$(pod)'}", "max": 1}]),
    _rollout("agreement without copies", ("expected mirrorPercent",), spec__rollout__analysis__minAgreement=0.9),
    _rollout("no error at all", ("maxErrorRate", "greater than 0"), "Invalid value",
             spec__rollout__analysis__maxErrorRate=0),
    _rollout("full agreement", ("minAgreement", "less than 1"), "Invalid value",
             spec__rollout__analysis__minAgreement=1, spec__rollout__analysis__mirrorPercent=1),
    _rollout("no time for a request", ("maxP99Seconds", "greater than 0"), "Invalid value",
             spec__rollout__analysis__maxP99Seconds=0),
    _rollout("an interval of no time", ("intervalSeconds",), "Invalid value",
             spec__rollout__analysis__intervalSeconds=0),
    _rollout("a shadow", ("rollout: expected exactly one predictor",), spec__predictors=[_PREDICTOR, _SHADOW]),
    _rollout("clients that stay", ("stickiness: expected several predictors",),
             spec__stickiness={"header": "X-User"}),
    _rollout("two predictors", ("rollout: expected exactly one predictor",), spec__predictors=[
        _PREDICTOR | {"name": "a", "traffic": 50}, _PREDICTOR | {"name": "b", "traffic": 50}]),
    _retrain("no drift", ("drift",), "Required value", spec__monitor__drift=...),
    _retrain("no rollout", ("monitor.retrain: expected a rollout with it",), spec__rollout=...),
    _retrain("no place for models", ("model: got none",), **{f"{_TEMPLATE}model": ...}),
    _retrain("a place for models whose name is too long", ("model.uri: expected at most 900",),
             **{f"{_TEMPLATE}model__uri": f"s3://models/{'a' * 900}"}),
    _retrain("no dataset", ("dataset: got none",), **{f"{_TEMPLATE}dataset": ...}),
    _retrain("jobs that go", ("runPolicy.ttlSecondsAfterFinished: expected none",),
             **{f"{_TEMPLATE}runPolicy": {"ttlSecondsAfterFinished": 60}}),
    _retrain("a template on the host's network", ("hostNetwork",),
             **{f"{_TEMPLATE}workers__template__spec__hostNetwork": True}),
    _retrain("an accuracy of no share", ("minAccuracy",), "Invalid value",
             spec__monitor__retrain__conversion__minAccuracy=2),
)  # fmt: skip
