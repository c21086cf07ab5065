"""The page of a run: graph, times, parameters, and what each task has written, as one HTML file."""

from collections.abc import Iterable
from html import escape
from typing import Any

from fairlead_pipelines.runs.drawing import COLORS, draw_graph, draw_times
from fairlead_pipelines.runs.records import ArtifactRecord, RunRecord, TaskRecord

_MAX_VALUE = 2000
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
 body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1b2733 }}
 h1 {{ margin-bottom: 0 }} h2 {{ margin-top: 2rem }} svg {{ width: 100% }} svg text {{ fill: #1b2733 }}
 table {{ border-collapse: collapse; margin: .4rem 0 1rem }} th {{ font-weight: 500; white-space: nowrap }}
 td, th {{ padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top; border-top: 1px solid #dde3e9 }}
 td {{ overflow-wrap: anywhere }} pre {{ background: #f4f6f8; padding: .7rem; margin: 0; white-space: pre-wrap }}
 .log {{ display: flex; flex-direction: column-reverse; max-height: 22rem; overflow: auto }}
 iframe {{ width: 100%; height: 34rem; border: 1px solid #dde3e9 }} .state {{ font-weight: 600 }}
</style>
<h1>{pipeline}</h1>
<p>{description}</p>
<p><span class="state" style="color: {color}">{state}</span> after {seconds:.1f} s,
started {started:%Y-%m-%d %H:%M:%S} UTC</p>
{failure}
<h2>Tasks</h2>{graph}
<h2>Times</h2>{times}
{tasks}
<h2>Parameters</h2>{parameters}
</html>
"""


def build_page(run: RunRecord) -> str:
    """Return a run as HTML. What tasks have written is escaped, and their pages are shown without scripts."""
    state = "failed" if run.failure else "succeeded"
    return _PAGE.format(
        title=escape(f"{run.pipeline}: {state}"),
        pipeline=escape(run.pipeline),
        description=escape(run.description),
        color=COLORS[state],
        state=state.capitalize(),
        seconds=run.seconds,
        started=run.started,
        failure=f"<pre>{escape(run.failure)}</pre>" if run.failure else "",
        graph=draw_graph(run.tasks),
        times=draw_times(list(run.tasks.values()), run.started),
        tasks="".join(_build_task(task) for task in run.tasks.values() if task.started),
        parameters=_build_table(run.parameters.items()),
    )


def _build_task(task: TaskRecord) -> str:
    log = escape("\n".join(task.lines))
    opened = " open" if task.state == "failed" else ""
    return (
        f'<h2 id="{escape(task.name)}">{escape(task.name)}</h2>'
        f'<p><span class="state" style="color: {COLORS[task.state]}">{task.state.capitalize()}</span> '
        f"after {task.seconds or 0:.1f} s</p>"
        f"{_build_table(task.parameters.items())}{''.join(map(_build_artifact, task.artifacts))}"
        f'<details{opened}><summary>End of the log</summary><div class="log"><pre>{log}</pre></div></details>'
    )


def _build_artifact(artifact: ArtifactRecord) -> str:
    figures = {name: value for name, value in artifact.metadata.items() if not isinstance(value, dict | list)}
    # a path of the run's own folder, which is removed with it, is nothing that anyone could open
    place = {} if artifact.uri.startswith("/") else {"uri": artifact.uri}
    shown = f"<h3>{escape(artifact.name)} <small>({escape(artifact.kind)})</small></h3>"
    shown += _build_table({**place, **figures}.items())
    if artifact.page:
        shown += f'<iframe sandbox title="{escape(artifact.name)}" srcdoc="{escape(artifact.page)}"></iframe>'
    return shown


def _build_table(rows: Iterable[tuple[str, Any]]) -> str:
    cells = "".join(f"<tr><th>{escape(str(name))}</th><td>{_show(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>" if cells else ""


def _show(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return escape(text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…")
