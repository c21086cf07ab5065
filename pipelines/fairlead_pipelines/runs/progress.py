"""Shows on the terminal how a run gets on: a bar, the running task's log, and how each task ended."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fairlead_pipelines.runs.records import RunRecord, TaskRecord

_COLORS = {"succeeded": "green", "failed": "red"}


class TerminalProgress:
    """A watcher that writes to standard error, because the outputs go to standard output."""

    def __init__(self, run: RunRecord) -> None:
        self._run = run
        self._console = Console(stderr=True, highlight=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)
        self._all = self._bar.add_task(run.pipeline, total=len(run.tasks))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, task: TaskRecord) -> None:
        """Show which task runs."""
        self._bar.update(self._all, description=f"[bold]{escape(task.name)}[/]", total=len(self._run.tasks))
        self._console.print(f"[cyan]▶ {escape(task.name)}[/]")

    def add_line(self, task: TaskRecord, line: str) -> None:
        """Show a line of a task's log."""
        self._console.print(f"  [dim]{escape(task.name)}[/] {escape(line)}", soft_wrap=True)

    def end(self, task: TaskRecord) -> None:
        """Show how a task ended."""
        self._bar.advance(self._all)
        mark = "✔" if task.state == "succeeded" else "✘"
        color = _COLORS.get(task.state, "yellow")
        self._console.print(f"[{color}]{mark} {escape(task.name)}[/] {task.state} after {task.seconds or 0:.1f} s")
