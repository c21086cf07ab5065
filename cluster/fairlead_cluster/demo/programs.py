"""Runs the programs of the worked example: its scripts, and the components' commands."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.cli.console import CommandError

from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.environments import environment_python

EXAMPLE = CHECKOUT / "examples" / "digits"


@dataclass(frozen=True)
class Programs:
    """The programs of one home; each returns the JSON object that it reports."""

    home: Path
    work: Path
    """The folder for results."""

    def run_script(self, script: str, *arguments: str) -> dict[str, Any]:
        """Run a script of the example; its last line is JSON, or it prints nothing."""
        output = _run([str(environment_python("digits", self.home)), str(EXAMPLE / script), *arguments]).strip()
        return dict(json.loads(output.splitlines()[-1])) if output else {}

    def run_component(self, command: str, *arguments: str) -> dict[str, Any]:
        """Run a component's command; its result is the JSON file that it writes."""
        result = self.work / f"{command}.json"
        result.unlink(missing_ok=True)
        _run([str(Home(self.home).bin / command), *arguments, "--out", str(result)])
        return dict(json.loads(result.read_text()))


def _run(command: list[str]) -> str:
    """Run a command and return its output; raises CommandError with the end of the output if it fails."""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        tail = (done.stdout + done.stderr)[-2000:]
        raise CommandError(f"{Path(command[0]).name} exited with {done.returncode}:\n{tail}")
    return done.stdout
