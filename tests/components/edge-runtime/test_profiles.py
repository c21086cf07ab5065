"""Profiles: what is measured, which targets no other one beats, and the plot."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from fairlead_artifacts import publish
from fairlead_edge.main import main
from fairlead_edge.plots import build_plot
from fairlead_edge.profiles import Profile, build_profile_table, find_front, measure_target

from tests.support import networks


def make(target: str, accuracy: float, p50: float, size: int) -> Profile:
    return Profile(
        target=target, threads=1, accuracy=accuracy, bytes=size, p50=p50, p99=2 * p50, start=0.1, memory=10**8, runs=300
    )


SMALL = make("small", 0.97, 0.002, 40_000)
FAST = make("fast", 0.98, 0.001, 150_000)
SLOW = make("slow", 0.98, 0.003, 150_000)
LARGE = make("large", 0.97, 0.002, 41_000)
TWIN = make("twin", 0.98, 0.001, 150_000)


def test_the_front_is_what_no_other_one_beats() -> None:
    assert find_front([SMALL, FAST, SLOW, LARGE, TWIN]) == [SMALL, FAST, TWIN]
    assert find_front([SLOW]) == [SLOW]


def test_the_table_has_units_stars_and_reasons() -> None:
    found = [("small", 1, SMALL), ("large", 1, LARGE), ("coreml", 1, "not\nrun")]
    lines = build_profile_table(found).splitlines()
    assert lines[1].split() == ["small", "1", "2.000", "4.000", "100.000", "100", "40,000", "0.9700", "*"]
    assert lines[2].split()[-1] == "0.9700"
    assert lines[3].split() == ["coreml", "1", "not?run"]


def test_the_plot_names_every_target_and_marks_the_front() -> None:
    root = ET.fromstring(build_plot([SMALL, FAST, SLOW, make("<a&b>", 0.5, 1.0, 10**9)]))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"small (1)", "fast (1)", "slow (1)", "<a&b> (1)"} <= set(texts)
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(circles) == 8
    assert len({element.get("fill") for element in circles}) == 2
    assert all(
        0 < float(element.get("cx", "")) < 1120 and 0 < float(element.get("cy", "")) < 420 for element in circles
    )


def test_a_process_that_fails_is_the_reason(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    examples = np.zeros((2, 16), np.float32)
    (found,) = measure_target("onnx", tmp_path, {"accuracy": 1.0, "bytes": 8}, [1], examples)
    assert isinstance(found, str)
    assert "cannot load the model" in found


@pytest.mark.parametrize("threads", ["0", "1,", "two", "99999"])
def test_numbers_of_threads_that_make_no_sense_are_rejected(threads: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["profile", "--model", "m", "--dataset", "d", "--threads", threads])
    assert "expected numbers from 1 to 1024" in capsys.readouterr().err


def test_targets_are_measured_in_processes_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, folder = networks.make_weights(), tmp_path / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(networks.network(weights))
    publish(folder, (tmp_path / "store" / "model").as_uri(), kind="onnx-model", producer="tests/0")
    networks.write_dataset(tmp_path / "data", weights)
    publish(tmp_path / "data", (tmp_path / "store" / "data").as_uri(), kind="dataset", producer="tests/0")
    uris = [(tmp_path / "store" / name).as_uri() for name in ("model", "data")]
    out, plot = tmp_path / "out.json", tmp_path / "plots" / "plot.svg"
    arguments = ["--target", "onnx", "--threads", "1,2", "--out", str(out), "--plot", str(plot)]
    assert main(["profile", "--model", uris[0], "--dataset", uris[1], *arguments]) == 0
    profiles = json.loads(out.read_text())["profiles"]
    assert [(each["target"], each["threads"]) for each in profiles] == [("onnx", 1), ("onnx", 2)]
    for each in profiles:
        assert 0 < each["p50"] <= each["p99"] < 10
        assert each["start"] > 0
        assert 10**7 < each["memory"] < 10**10
        assert each["runs"] > 0
    assert plot.read_text().startswith("<svg ")
    assert capsys.readouterr().out.count("onnx ") == 2
