"""Runs of pipelines on this machine: what is recorded of them, and their page."""

# KFP is untyped.
# mypy: disable-error-code="untyped-decorator"

import json
import re
from pathlib import Path

import pytest
from fairlead_pipelines.local import run_local
from kfp import compiler, dsl
from kfp.dsl import HTML, Metrics, Output

IMAGE = "python:3.11"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def measure(text: str, page: Output[HTML], figures: Output[Metrics]) -> int:
    """Write a page and a figure."""
    from pathlib import Path

    print(f"measuring <{text}>")
    Path(page.path).write_text(f"<h1>{text}</h1><script>alert(1)</script>")
    figures.log_metric("length", len(text))
    return len(text)


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def check(length: int, most: int) -> str:
    """Fail if a text is too long."""
    if length > most:
        raise SystemExit(f"got {length}, expected at most {most}")
    return "short"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def use(word: str) -> str:
    """Return a word."""
    return word


@dsl.pipeline(name="named")
def named() -> str:
    """Return the run's own name."""
    return use(word=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER).output


@dsl.pipeline(name="texts", description="Measures <texts>.")
def texts(text: str, most: int = 5) -> str:
    """Measure a text and check its length."""
    measured = measure(text=text)
    checked = check(length=measured.outputs["Output"], most=most)
    return use(word=checked.output).output


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pipelines") / "texts.yaml"
    compiler.Compiler().compile(texts, str(file))
    return file


def run(compiled: Path, folder: Path, *flags: str) -> tuple[int, str]:
    """Run the pipeline; return its exit code and its page."""
    report = folder / "report.html"
    code = run_local([str(compiled), *flags, "--report", str(report), "--out", str(folder / "out.json")])
    return code, report.read_text()


def test_a_run_shows_its_tasks_with_what_they_have_written(
    compiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, page = run(compiled, tmp_path, "--text", "<a>")
    assert code == 0
    assert json.loads((tmp_path / "out.json").read_text()) == {"Output": "short"}
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"Output": "short"}
    assert "measuring <<a>>" in shown.err
    assert "check succeeded after" in " ".join(shown.err.split())
    assert [part for part in ("measure", "check", "use") if f'<h2 id="{part}">' not in page] == []
    assert "<th>length</th><td>3</td>" in page
    assert "<pre>measuring &lt;&lt;a&gt;&gt;</pre>" in page, "without what KFP says around it"
    assert "Measures &lt;texts&gt;." in page
    assert "<script>" not in page, "what a task writes must not run where the report is opened"
    assert "iframe sandbox" in page


def test_a_run_that_fails_shows_why_and_what_it_did_not_reach(
    compiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, page = run(compiled, tmp_path, "--text", "too long", "--most", "5")
    assert code == 1
    assert not (tmp_path / "out.json").exists()
    assert "check" in capsys.readouterr().err
    assert "got 8, expected at most 5" in page
    assert "use: skipped" in page
    assert page.count("<details open>") == 1


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no\.yaml: no such file"):
        run_local([str(tmp_path / "no.yaml")])


def test_a_run_has_a_name_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "named.yaml"
    compiler.Compiler().compile(named, str(file))
    assert run(file, tmp_path)[0] == 0
    assert re.fullmatch(r"named-\d{8}-\d{6}", json.loads((tmp_path / "out.json").read_text())["Output"])
