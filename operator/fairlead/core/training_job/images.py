"""Finds images that lack the programs of a job's pods."""

from fairlead import __version__
from fairlead.core import names
from fairlead.core.conditions import Finding
from fairlead.core.views import PodView

INCOMPLETE = "ImageIncomplete"
_PROGRAMS = {names.LAUNCHER: "fairlead-launcher", names.WORKER: "fairlead-agent"}
_CODES = (127, 128)
"""The exit codes with which container runtimes report a program that they cannot start."""


def check_program(pod: PodView) -> Finding | None:
    """Find a pod whose image has no launcher or agent, from the container runtime's message."""
    program, message = _PROGRAMS.get(pod.role), pod.termination_message
    if program is None or pod.exit_code not in _CODES or program not in message or "not found" not in message:
        return None
    remedy = f"COPY --from=fairlead/trainer:{__version__} /wheels /wheels and RUN pip install /wheels/*.whl"
    text = f"The image of {pod.name} has no {program}. Add to its Dockerfile: {remedy} (docs/guides/bring-your-own.md)."
    return Finding(INCOMPLETE, text)
