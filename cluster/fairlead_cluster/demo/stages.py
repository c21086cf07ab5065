"""Progress of a long job: its stages, their durations and results."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fairlead.cli.console import escape
from rich.console import Console
from rich.table import Table


@dataclass
class Stage:
    """One stage and its result, which its body sets."""

    title: str
    result: str = ""
    seconds: float = 0.0


@dataclass
class Stages:
    """The stages so far."""

    console: Console
    done: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, title: str, spinner: bool = True) -> Iterator[Stage]:
        """Show a stage while its body runs; with `spinner` False the body shows its own progress."""
        stage = Stage(title)
        start = time.monotonic()
        if spinner and self.console.is_terminal:
            with self.console.status(f"[bold]{title}[/]"):
                yield stage
        else:
            yield stage
        stage.seconds = time.monotonic() - start
        self.done.append(stage)
        self.console.print(f"[green]✓[/] [bold]{title:<12}[/] {stage.seconds:6.1f} s  {escape(stage.result)}")

    def table(self) -> Table:
        """Return the times and results as a table."""
        table = Table(title="Stages", title_justify="left")
        table.add_column("stage")
        table.add_column("seconds", justify="right")
        table.add_column("result", overflow="fold")
        for stage in self.done:
            table.add_row(stage.title, f"{stage.seconds:.1f}", escape(stage.result))
        table.add_row("[bold]all", f"[bold]{sum(stage.seconds for stage in self.done):.1f}", "")
        return table
