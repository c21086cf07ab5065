"""The command: a conversion that crashes ends with a message, not with a signal; and no telemetry."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, sys, types
conversion = types.ModuleType("conversion")
conversion.main = lambda: {}
sys.modules["fairlead_onnx_converter.main"] = conversion
from fairlead_onnx_converter.command import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("2", 2, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        (f"os.kill(os.getpid(), {int(signal.SIGSEGV)})", 1, "ended by SIGSEGV: a library crashed on the model"),
        (f"os.kill(os.getpid(), {int(signal.SIGKILL)})", 1, "ended by SIGKILL: there was probably too little memory"),
        (f"os.kill(os.getppid(), {int(signal.SIGTERM)}) or __import__('time').sleep(60)", 1, "ended by SIGTERM"),
    ],
)
def test_what_ends_the_conversion_is_reported(body: str, code: int, message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(body)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


def test_nothing_is_written_to_the_home_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": ""}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    code = "import fairlead_onnx_converter.parity, fairlead_onnx_converter.reference, onnxruntime"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    # ONNX Runtime's telemetry stores a device's id and its errors in ~/.cache when it is imported.
    assert list(tmp_path.rglob("*")) == []
