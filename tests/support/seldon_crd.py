"""Seldon Core's CRD for the contract test: its version v1 without descriptions, made from the file of its release.

    python -m tests.support.seldon_crd seldondeployments.crd.yaml

writes `seldondeployments.v1.json` beside this module. The original has 2.4 MB, most of which are descriptions and two
older versions. It is that of Seldon Core 1.17.1, which is under the Apache License 2.0, as no later release is.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
FILE = Path(__file__).with_name("seldondeployments.v1.json")
SOURCE = (
    "seldondeployments.crd.yaml of SeldonIO/seldon-core 1.17.1, Apache-2.0; shortened by tests/support/seldon_crd.py"
)


def shorten_crd(content: bytes) -> Object:
    """Return the CRD with version v1 alone and without descriptions, as an API server accepts it."""
    crd = yaml.load(content, Loader=yaml.CSafeLoader)
    (version,) = (each for each in crd["spec"]["versions"] if each["name"] == "v1")
    version = without_descriptions(version)
    graph = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["predictors"]["items"]
    # a recursive type, for which the generator has no schema; Seldon's charts add this
    graph["properties"]["graph"]["properties"]["children"]["items"] = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    annotations = {"source": SOURCE, "sha256": hashlib.sha256(content).hexdigest()}
    metadata = {"name": crd["metadata"]["name"], "annotations": annotations}
    spec = {**crd["spec"], "versions": [version]}
    return {"apiVersion": crd["apiVersion"], "kind": crd["kind"], "metadata": metadata, "spec": spec}


def read_crd() -> Object:
    """Return the shortened CRD."""
    return dict(json.loads(FILE.read_text()))


def write_crd(content: bytes) -> None:
    """Shorten a CRD, and keep it beside this module."""
    FILE.write_text(json.dumps(shorten_crd(content), sort_keys=True, separators=(",", ":")) + "\n")


def without_descriptions(node: Any) -> Any:
    """Remove descriptions, but no property of that name."""
    if isinstance(node, list):
        return [without_descriptions(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: without_descriptions(each) for name, each in value.items()}
        if key == "properties"
        else without_descriptions(value)
        for key, value in node.items()
        if not (key == "description" and isinstance(value, str))
    }


if __name__ == "__main__":
    write_crd(Path(sys.argv[1]).read_bytes())
