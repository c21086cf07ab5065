"""A parent whose serving process fails as it is told: `python tiny_parent.py HOW`; each prints what it knows."""

import json
import logging
import os
import signal
import sys
import time

from fairlead_serving import parent
from fairlead_serving.parent import Parent, Past


def serve(past: Past) -> int:
    how = sys.argv[1]
    write({"isolated": past.isolated, "lost": past.lost, "causes": past.causes})
    if how == "raise":
        raise KeyError("an error in the program")
    if how == "wait":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        time.sleep(60)
    if how == "stuck" and not past.causes:
        time.sleep(60)
    if how.startswith("crash") and sum(past.causes.values()) < 2:
        past.board.in_flight = 3 if how == "crash-in-flight" else 0
        past.board.loading = how == "crash-loading"
        past.board.cause = "said why" if how == "crash-said" else ""
        os.kill(os.getpid(), signal.SIGFPE)
    return 7


def write(document: object) -> None:
    os.write(1, json.dumps(document).encode() + b"\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    parent.SILENT_POLLS = 2
    sys.exit(Parent(serve, lambda: write("stopped listening")).run())
