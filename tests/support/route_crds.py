"""The CRDs of routes for the tests: one version of each without descriptions, made from the files of their releases.

    python -m tests.support.route_crds GATEWAY_API_MODULE ISTIO_API_MODULE

writes `route_crds.json` beside this module. The arguments are the folders of the Go modules sigs.k8s.io/gateway-api
and istio.io/api, as `go mod download -json` names them. Both are under the Apache License 2.0.
"""

import hashlib
import json
import sys
from pathlib import Path

import yaml

from tests.support.seldon_crd import Object, without_descriptions

FILE = Path(__file__).with_name("route_crds.json")
GATEWAY_API, ISTIO = "gateway-api v1.4.1", "istio.io/api v1.28.0"
GATEWAY_KINDS, ISTIO_KINDS = ("httproutes", "grpcroutes"), ("virtualservices",)
VERSION = "v1"


def shorten_crds(gateway_api: Path, istio: Path) -> list[Object]:
    """Return the CRDs with version v1 alone and without descriptions."""
    folder = gateway_api / "config" / "crd" / "standard"
    found = [
        _shorten((folder / f"gateway.networking.k8s.io_{plural}.yaml").read_bytes(), plural, GATEWAY_API)
        for plural in GATEWAY_KINDS
    ]
    content = (istio / "kubernetes" / "customresourcedefinitions.gen.yaml").read_bytes()
    return found + [_shorten(content, plural, ISTIO) for plural in ISTIO_KINDS]


def read_crds(*plurals: str) -> list[Object]:
    """Return the shortened CRDs of these kinds."""
    crds = json.loads(FILE.read_text())
    return [crd for plural in plurals for crd in crds if crd["spec"]["names"]["plural"] == plural]


def _shorten(content: bytes, plural: str, source: str) -> Object:
    documents = yaml.load_all(content, Loader=yaml.CSafeLoader)
    (crd,) = (each for each in documents if each and each["spec"]["names"]["plural"] == plural)
    (version,) = (each for each in crd["spec"]["versions"] if each["name"] == VERSION)
    annotations = {
        # the API server asks this of CRDs of its own groups
        key: value
        for key, value in (crd["metadata"].get("annotations") or {}).items()
        if key.startswith(("api-approved.", "gateway.networking.k8s.io/"))
    }
    annotations |= {
        "source": f"{plural} of {source}, Apache-2.0; shortened by tests/support/route_crds.py",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    spec = {**crd["spec"], "versions": [{**without_descriptions(version), "storage": True}]}
    metadata = {"name": crd["metadata"]["name"], "annotations": annotations}
    return {"apiVersion": crd["apiVersion"], "kind": crd["kind"], "metadata": metadata, "spec": spec}


if __name__ == "__main__":
    FILE.write_text(json.dumps(shorten_crds(*map(Path, sys.argv[1:3])), sort_keys=True, separators=(",", ":")) + "\n")
