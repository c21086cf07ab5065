"""For how long saving a checkpoint holds up a training, compared with a synchronous torch.save of the same state.

Every round trains the same model with each of the two, in turns: some steps, a checkpoint, and as many steps as it
takes until it is written. Printed are the medians over the rounds, and the ratios within them with their spread.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from fairlead_trainer.checkpoint import Checkpoints

from bench.figures import Round, median, ratios

_MB = 1_000_000
_WIDTH = 1024
_LAYER_BYTES = 3 * 4 * (_WIDTH * _WIDTH + _WIDTH)
"""A layer's weights and Adam's two moments of them, in float32."""
_STEPS = 10
"""Steps before each checkpoint."""


@dataclass
class Training:
    """A model of a given size of state, and its optimizer."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    inputs: torch.Tensor

    @classmethod
    def create(cls, megabytes: int, device: str) -> "Training":
        """Return a training whose state has about this size."""
        layers = max(1, round(megabytes * _MB / _LAYER_BYTES))
        model = torch.nn.Sequential(*(torch.nn.Linear(_WIDTH, _WIDTH) for _ in range(layers))).to(device)
        training = cls(model, torch.optim.Adam(model.parameters()), torch.randn(8, _WIDTH, device=device))
        training.step()  # Adam's state exists from now on
        return training

    def step(self) -> float:
        """Train one step; return its seconds."""
        began = time.perf_counter()
        self.optimizer.zero_grad()
        self.model(self.inputs).square().mean().backward()
        self.optimizer.step()
        self.finish()
        return time.perf_counter() - began

    def average_step(self) -> float:
        """Train some steps; return the seconds of one."""
        return sum(self.step() for _ in range(_STEPS)) / _STEPS

    def finish(self) -> None:
        """Wait for the device."""
        if self.inputs.is_cuda:
            torch.cuda.synchronize()

    def megabytes(self) -> float:
        """Return the size of the state."""
        moments = [value for state in self.optimizer.state.values() for value in state.values()]
        return sum(tensor.nbytes for tensor in (*self.model.parameters(), *moments)) / _MB


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.checkpoints", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=200, help="of the state: weights and Adam's moments")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.environ |= {"FAIRLEAD_CHECKPOINT_URI": f"file://{folder}/checkpoints", "FAIRLEAD_CHECKPOINT_STEPS": "1"}
        training = Training.create(options.megabytes, options.device)
        checkpoints = Checkpoints(training.model, training.optimizer)
        save_ours(training, checkpoints, 1)  # its memory is allocated once, which the first checkpoint pays for
        ours: list[Round] = []
        peer: list[Round] = []
        for number in range(options.rounds):
            ours.append(save_ours(training, checkpoints, number + 2))
            peer.append(save_synchronously(training, Path(folder, "state.pt")))
    print(f"{training.megabytes():.0f} MB on {options.device}, {options.rounds} rounds, one thread")
    print(f"torch.save: {1000 * median(peer, 'stall'):.0f} ms; a step: {1000 * median(peer, 'step'):.1f} ms")
    print(f"fairlead: {1000 * median(ours, 'stall'):.0f} ms, {ratios(ours, peer, 'stall')} of torch.save")
    slowdown = f"{median(ours, 'slowdown'):.2f} times as long"
    print(f"written after {median(ours, 'written'):.1f} s, while a step takes {slowdown}")
    return 0


def save_ours(training: Training, checkpoints: Checkpoints, number: int) -> Round:
    """Save with fairlead_trainer; the training goes on until the checkpoint is written."""
    quiet = training.average_step()
    began = time.perf_counter()
    checkpoints.update(number)
    stall = time.perf_counter() - began
    busy = [training.step()]
    while checkpoints.writing:
        busy.append(training.step())
    written = time.perf_counter() - began
    checkpoints.close()
    return {"stall": stall, "written": written, "slowdown": sum(busy) / len(busy) / quiet}


def save_synchronously(training: Training, file: Path) -> Round:
    """Save with torch.save, which returns when the file's content is with the operating system."""
    step = training.average_step()
    began = time.perf_counter()
    torch.save({"model": training.model.state_dict(), "optimizer": training.optimizer.state_dict()}, file)
    return {"stall": time.perf_counter() - began, "step": step}


if __name__ == "__main__":
    sys.exit(main())
