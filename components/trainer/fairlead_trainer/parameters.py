"""Parameters of a training script: rank 0's script says them once, its agent reads them, MLflow records them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from fairlead_artifacts import open_regular
from fairlead_contracts.environment import ProcessEnvironment
from fairlead_contracts.parameters import MAX_BYTES, check_parameters, salvage_parameters_json

from .progress import replace_file


def report_parameters(parameters: Mapping[str, str | float | bool]) -> None:
    """Say with which parameters the script trains, before it does; outside a job this only checks them.

    A job that is recorded in MLflow has those of its first attempt as the run's parameters. Raises ValueError for more
    than 50 parameters or 8 KiB, names of more than 100 characters, and values of more than 200 or of other types.

    >>> report_parameters({"learning_rate": 0.1, "optimizer": "sgd", "nesterov": True})
    """
    check_parameters(parameters)
    content = json.dumps(dict(parameters), ensure_ascii=False)
    if len(content.encode()) > MAX_BYTES:
        raise ValueError(f"parameters: got {len(content.encode())} bytes, expected at most {MAX_BYTES}")
    file = ProcessEnvironment.from_environment(os.environ).parameters_file
    if file is not None:
        replace_file(Path(file), content)


def read_parameters(file: Path) -> dict[str, str]:
    """Read the script's file, keeping the valid parameters; none if there is no such file."""
    try:
        with open_regular(file) as opened:
            return salvage_parameters_json(opened.read(MAX_BYTES + 1))
    except OSError:
        return {}
