"""References of training data: read back within bounds, and counted alike by all that use them."""

import json
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.binning import Binning
from fairlead_contracts.errors import ContractError
from fairlead_contracts.monitor import ColumnFacts, MonitorFacts, NodeFacts, TensorFacts
from fairlead_contracts.psi import measure_psi
from fairlead_contracts.reference import MAX_SLOTS, Categories, Numbers, Reference, TensorReference

NUMBERS = Numbers(index=0, minimum=-1.0, edges=(-1.0, 0.5, 2.0), counts=(3, 4, 5), not_finite=1)
WORDS = Categories(index=0, values=("a", "b"), counts=(6, 2), other=1)
IMAGE = TensorReference(
    name="image", datatype="FP32", width=2, columns=(NUMBERS, NUMBERS.model_copy(update={"index": 1}))
)
TEXT = TensorReference(name="text", datatype="BYTES", width=None, columns=(WORDS,))
REFERENCE = Reference(split="train", rows=13, inputs=(IMAGE, TEXT), outputs=(IMAGE,))
DIGEST = "sha256:" + "0" * 64


def test_references_and_facts_are_read_back() -> None:
    assert Reference.parse_json(json.dumps(REFERENCE.to_json()), "reference.json") == REFERENCE
    column = ColumnFacts(index=1, reference=NUMBERS.slots, counts=(0, 1, 2, 3, 4, 5))
    tensor = TensorFacts(side="input", name="image", columns=(column,))
    node = NodeFacts(node="m", digest=DIGEST, reference_rows=13, rows=15, tensors=(tensor,))
    facts = MonitorFacts(predictor="main", nodes=(node, NodeFacts(node="n", digest=DIGEST, problem="no reference")))
    assert MonitorFacts.parse_json(json.dumps(facts.to_json()), "facts") == facts


def test_the_largest_facts_are_within_the_bound() -> None:
    full = (2**53 - 1,) * 20
    columns = tuple(ColumnFacts(index=2**53 - 1 - i, reference=full, counts=full) for i in range(255, -1, -1))
    tensors = tuple(TensorFacts(side="input", name=f"{i}", columns=columns) for i in range(4))
    facts = MonitorFacts(predictor="main", nodes=(NodeFacts(node="m", digest=DIGEST, tensors=tensors),))
    assert sum(len(column.counts) for tensor in tensors for column in tensor.columns) == MAX_SLOTS
    assert MonitorFacts.parse_json(json.dumps(facts.to_json(), separators=(",", ":")), "facts") == facts


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nodes": [{"node": "m", "digest": DIGEST}] * 2}, "nodes: got 2 with 1 names"),
        ({"nodes": [{"node": "m", "digest": "latest"}]}, "digest"),
        ({"nodes": [{"node": "m", "digest": DIGEST, "rows": -1}]}, "rows: got -1"),
        ({"nodes": [{"node": "m", "digest": DIGEST, "problem": "a\nb"}]}, "one line"),
        ({"nodes": [{"node": "a\nb", "digest": DIGEST}]}, "node: .* one line"),
        ({"predictor": "a\x1bb"}, "predictor: .* one line"),
        ({"predictor": 1}, "predictor"),
    ],
)
def test_hostile_facts_are_rejected_by_field(change: dict[str, Any], words: str) -> None:
    document = {"schema": "fairlead.dev/monitor-facts/v1", "predictor": "p", "nodes": [], **change}
    with pytest.raises(ContractError, match=words):
        MonitorFacts.parse_json(json.dumps(document), "facts")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([{"index": 0, "reference": [1], "counts": [1]}] * 2, "columns whose index rises"),
        ([{"index": 0, "reference": [1], "counts": [1, 2]}], "got 2 counts, expected 1, as in the reference"),
        ([{"index": 0, "reference": [], "counts": []}], "at least 1 items"),
        ([{"index": 0, "reference": [1] * 66, "counts": [1] * 66}], "at most 65 items"),
    ],
)
def test_hostile_counts_are_rejected_by_field(columns: list[Any], words: str) -> None:
    tensor = {"side": "input", "name": "x", "columns": columns}
    document = {"predictor": "p", "nodes": [{"node": "m", "digest": DIGEST, "tensors": [tensor]}]}
    with pytest.raises(ContractError, match=words):
        MonitorFacts.parse_json(json.dumps(document), "facts")


def _changed(tensor: TensorReference, column: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    document = REFERENCE.to_json()
    changed = {**tensor.to_json(), **changes}
    if column is not None:
        changed["columns"] = [{**changed["columns"][0], **column}, *changed["columns"][1:]]
    return {**document, "inputs": [changed]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({**REFERENCE.to_json(), "schema": "fairlead.dev/reference/v2"}, "schema"),
        ({**REFERENCE.to_json(), "rows": 0}, "rows: got 0, expected at least 1"),
        (_changed(IMAGE, {"counts": [1, 2]}), "counts: got 2 counts, expected 3, one for each edge"),
        (_changed(IMAGE, {"edges": [0.5, 0.5, 2.0]}), "edges: got .* expected numbers that rise"),
        (_changed(IMAGE, {"edges": [-2.0, 0.5, 2.0]}), r"edges\[0\]: got -2.0, expected at least the minimum"),
        (_changed(IMAGE, {"minimum": None}), "minimum: got None, expected a number with edges"),
        (_changed(IMAGE, {"edges": [0.5, 1.0, float("inf")]}), "edges"),
        (_changed(IMAGE, {"edges": [float(i) for i in range(17)], "counts": [0] * 17}), "at most 16 items"),
        (_changed(IMAGE, {"counts": [-1, 2, 3]}), "at least 0"),
        (_changed(IMAGE, {"counts": [2**53, 2, 3]}), "at most"),
        (_changed(IMAGE, {"kind": "pickle"}), "kind|columns"),
        (_changed(IMAGE, {"index": 1}), "columns whose index rises"),
        (_changed(IMAGE, width=1), r"columns\[1\].index: got 1, expected less than 1"),
        (_changed(IMAGE, width=0), "width: got 0"),
        (_changed(IMAGE, datatype="FP99"), "datatype: got 'FP99'"),
        (_changed(IMAGE, datatype="BYTES"), "expected categories in a tensor of BYTES"),
        (_changed(IMAGE, columns=[]), "at least 1 items"),
        (_changed(IMAGE, name="a\nb"), "one line of text"),
        (_changed(TEXT, {"values": ["a", "a"]}), "values that differ"),
        (_changed(TEXT, {"values": ["a", 1]}), "values"),
        (_changed(TEXT, {"values": ["a", "b" * 129]}), "values"),
        (_changed(TEXT, {"counts": [1]}), "counts: got 1 counts, expected 2"),
        (_changed(TEXT, datatype="INT64"), "expected integers"),
        (_changed(TEXT, datatype="FP32"), "expected numbers in a tensor of FP32"),
        (_changed(TEXT, {"values": [1, 2**60]}, datatype="INT64"), "integers from"),
        ({**REFERENCE.to_json(), "outputs": [IMAGE.to_json()] * 2}, "outputs: got 2 named image, expected unique"),
        ({**REFERENCE.to_json(), "outputs": [IMAGE.to_json()] * 33}, "outputs"),
    ],
)  # fmt: skip
def test_hostile_references_are_rejected_by_field(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        Reference.parse_json(json.dumps(document), "reference.json")


def test_a_reference_of_too_many_bins_is_rejected() -> None:
    column = {"kind": "categories", "values": [*range(64)], "counts": [0] * 64}
    tensor = {"name": "x", "datatype": "INT8", "width": 256, "columns": [{**column, "index": i} for i in range(256)]}
    document = {**REFERENCE.to_json(), "inputs": [tensor, {**tensor, "name": "y"}], "outputs": []}
    with pytest.raises(ContractError, match="33280 bins and categories, expected at most 20480"):
        Reference.parse_json(json.dumps(document), "reference.json")


def _naive(column: Numbers | Categories, values: list[Any]) -> list[int]:
    """Count values one by one, as the contract says it in words."""
    counts = [0] * len(column.slots)
    for value in values:
        if isinstance(column, Categories):
            place = column.values.index(value) if value in column.values else len(column.values)
        elif not math.isfinite(value):
            place = len(counts) - 1
        elif column.minimum is not None and value < column.minimum:
            place = 0
        else:
            place = next((i + 1 for i, edge in enumerate(column.edges) if value <= edge), len(counts) - 2)
        counts[place] += 1
    return counts


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "INT8", "UINT64", "BOOL"])
def test_numbers_are_counted_as_the_contract_says(datatype: str) -> None:
    generator = np.random.default_rng(7)
    values = generator.integers(-3, 6, (200, 3)).astype(np.float64) / 2
    if datatype.startswith("FP"):
        values[generator.random((200, 3)) < 0.1] = np.nan
        values[0], values[1], values[2] = np.inf, -np.inf, -0.0
    kind = {"FP16": "f2", "FP32": "f4", "FP64": "f8", "INT8": "i1", "UINT64": "u8", "BOOL": "?"}[datatype]
    with np.errstate(invalid="ignore"):
        array = values.astype(kind)
    few = Numbers(index=1, minimum=1.0, edges=(1.0,), counts=(9,))
    empty = Numbers(index=2, not_finite=4)
    columns: list[Numbers | Categories] = [NUMBERS, few, empty]
    if not datatype.startswith("FP"):
        columns[1] = Categories(index=1, values=(0, 1), counts=(1, 1))
    tensor = TensorReference(name="x", datatype=datatype, width=3, columns=tuple(columns))
    binning = Binning(tensor)
    picked = binning.pick(array)
    assert picked is not None
    expected = [_naive(column, array[:, column.index].tolist()) for column in columns]
    assert binning.count(picked).tolist() == [count for counts in expected for count in counts]


def test_counting_needs_little_memory_however_many_values_there_are() -> None:
    binning = Binning(TensorReference(name="x", datatype="INT8", width=None, columns=(NUMBERS,)))
    values = np.resize(np.array([-2, 0, 1, 7], np.int8), (1_000_001, 1))
    tracemalloc.start()
    counts = binning.count(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts.tolist() == [250_001, 0, 250_000, 250_000, 250_000, 0]
    assert peak < 4_000_000


def test_texts_are_counted_and_unknown_ones_are_others() -> None:
    binning = Binning(TEXT)
    picked = binning.pick(np.array([["a", "b"], ["a", "ü"], ["", "a"]], object))
    assert picked is not None
    assert binning.count(picked).tolist() == [3, 1, 2]


def test_only_the_columns_of_a_reference_are_picked_and_other_shapes_are_not() -> None:
    columns = tuple(NUMBERS.model_copy(update={"index": index}) for index in (1, 5))
    binning = Binning(TensorReference(name="x", datatype="FP32", width=6, columns=columns))
    array = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    picked = binning.pick(array)
    assert picked is not None
    assert picked.tolist() == [[1, 5], [7, 11]]
    for other in (array[:, :1], array[:0], np.float32(1).reshape(())):
        assert binning.pick(other) is None


def test_the_index_is_that_of_the_textbook_for_large_counts() -> None:
    reference, counts = [40_000, 30_000, 20_000, 10_000], [25_000, 25_000, 25_000, 25_000]
    shares = [(count / 100_000, 0.25) for count in reference]
    expected = sum((actual - share) * math.log(actual / share) for share, actual in shares)
    assert measure_psi(reference, counts) == pytest.approx(expected, rel=1e-3)


def test_the_index_is_finite_whatever_is_empty() -> None:
    assert measure_psi([10, 0, 5], [0, 0, 0]) == pytest.approx(0, abs=1e-12)
    assert 0 < measure_psi([10, 0, 5], [0, 100, 0]) < math.inf
    assert measure_psi([10, 0, 5], [20, 0, 10]) < 0.01
