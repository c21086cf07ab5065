"""The command: a conversion that crashes ends with a message, not with a signal."""

import signal
import subprocess
import sys

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
