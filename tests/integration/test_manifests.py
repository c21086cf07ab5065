"""kubectl and `fairlead` take the same YAML for the same objects."""

import json
from pathlib import Path

from fairlead.cli.manifests import format_manifests, read_manifests

from tests.support.api_server import Kubectl
from tests.support.yaml_texts import AMBIGUOUS_TEXTS

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: scalars}\ndata:\n"
DATA = {f"text-{number}": text for number, text in enumerate(AMBIGUOUS_TEXTS)}


def test_texts_arrive_as_texts(kubectl: Kubectl) -> None:
    written = format_manifests([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "texts"}, "data": DATA}])
    kubectl("apply", "-f", "-", stdin=written)
    assert kubectl.get("configmaps", "texts")["data"] == DATA


def test_plain_scalars_are_read_as_kubectl_reads_them(kubectl: Kubectl, tmp_path: Path) -> None:
    plain = [text for text in AMBIGUOUS_TEXTS if text not in (".inf", ".nan", "<<")]  # no values of JSON, a merge key
    file = tmp_path / "scalars.yaml"
    file.write_text(HEAD + "".join(f"  s{number}: {text}\n" for number, text in enumerate(plain)))
    read = json.loads(kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", str(file)))
    ours = read_manifests(file)[0]["data"]
    assert ours == read["data"]


def test_texts_that_tests_apply_arrive_as_texts(kubectl: Kubectl) -> None:
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": DATA})
    assert kubectl.get("configmaps", "applied")["data"] == DATA
