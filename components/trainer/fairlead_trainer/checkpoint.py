"""Checkpoints of a training script: saved beside the training, whole or absent, verified, and continued from."""

import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from fairlead_artifacts import (
    PUBLISH_SECONDS,
    ArtifactError,
    StoreUnavailable,
    delete,
    fetch,
    list_artifacts,
    publish,
    retry_unavailable,
)
from fairlead_contracts.environment import CheckpointEnvironment, ProcessEnvironment

from .capture import Copier, State, Stateful, capture, capture_random, restore, restore_random
from .data import PRODUCER
from .group import Group, find_group
from .progress import ActivityFile, Progress
from .schedule import Schedule

log = logging.getLogger("checkpoint")

RESTORE_SECONDS = 300.0
"""How long to retry while the store is unavailable: what was computed before must not be lost to an outage."""
_KIND, _FILE = "checkpoint", "state.pt"
_STEP = re.compile(r"/step-(\d{1,15})$")


@dataclass(frozen=True)
class _Place:
    """A complete checkpoint."""

    uri: str
    digest: str
    step: int


@dataclass(frozen=True)
class _Found:
    """What a store has of a job's checkpoints."""

    places: list[_Place]
    """Those with a manifest, the newest first."""
    damaged: list[int]
    """The steps of those whose manifest is damaged."""


class Checkpoints:
    """Save and restore the state of a training. Every process calls each method, at the same steps.

    >>> checkpoints = Checkpoints(model, optimizer, progress=progress, scheduler=scheduler)
    >>> for step in range(checkpoints.restore() + 1, total + 1):
    ...     train()
    ...     checkpoints.update(step)

    What else has a state is named as a keyword, such as a data loader. Without `spec.checkpoint`, nothing is saved.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        progress: Progress | None = None,
        **others: Stateful,
    ) -> None:
        self._settings = CheckpointEnvironment.from_environment(os.environ)
        model_folder = ProcessEnvironment.from_environment(os.environ).model_folder
        self._scratch = Path(model_folder).parent if model_folder else None
        """The agent's folder, which it empties when it starts processes anew: a killed one does not clean up."""
        self._model, self._optimizer, self._others, self._progress = model, optimizer, others, progress
        self._activity = ActivityFile()
        self._group: Group = find_group()
        self._schedule = Schedule(self._settings.every_steps, self._settings.every_seconds, time.monotonic())
        self._copier = Copier()
        self._writer: threading.Thread | None = None

    def restore(self) -> int:
        """Continue from the last complete checkpoint; return its step, 0 if there is none.

        Raises ArtifactError if the store fails, or if no checkpoint that exists can be read.
        """
        if self._settings.uri is None:
            return 0
        found = _find(self._settings, self._note_restoring) if self._group.rank == 0 else _Found([], [])
        places: list[_Place] = self._group.broadcast(found.places)
        damaged, problem = list(found.damaged), None
        for place in places:
            with tempfile.TemporaryDirectory(prefix="checkpoint-", dir=self._scratch) as folder:
                problem = _fetch(place, Path(folder, "content"), self._note_restoring)
                # all processes download at once, and take the same one
                if any(self._group.gather(problem is not None)):
                    log.warning("step %d is damaged, trying an older one: %s", place.step, problem or "elsewhere")
                    damaged.append(place.step)
                    continue
                self._activity.clear()
                self._load(place, Path(folder, "content", _FILE))
                if self._progress is not None:
                    self._progress.damaged_steps = tuple(sorted(step for step in damaged if step > place.step))
                return place.step
        if places:
            raise problem or ArtifactError(places[0].uri, "is damaged for another process, expected an intact one")
        return 0

    def _load(self, place: _Place, file: Path) -> None:
        # weights_only: nothing from a store is unpickled
        state: State = torch.load(file, map_location="cpu", weights_only=True)
        restore(state, self._model, self._optimizer, self._others)
        if self._group.rank < len(state["random"]):
            restore_random(state["random"][self._group.rank])
        log.info("continuing after step %d of %s", place.step, place.uri)
        self._schedule.begin(place.step, time.monotonic())
        if self._progress is not None:
            self._progress.resumed_from_step = self._progress.checkpoint_step = place.step

    def update(self, step: int) -> None:
        """Save the state after a step if that is due; the training goes on while it is written."""
        if self._settings.uri is None or not self._schedule.is_due(step):
            return
        # one process decides: clocks differ, and every process must take part or none
        decided: tuple[bool, int] = self._group.broadcast(self._schedule.decide(step, time.monotonic(), self.writing))
        saves, next_step = decided
        self._schedule.follow(step, next_step, saves, time.monotonic())
        if not saves:
            return
        state = capture(self._model, self._optimizer, self._others)
        states = self._group.gather(capture_random())
        if self._group.rank == 0:
            copied: State = self._copier.copy({**state, "random": states, "step": step})
            self._writer = threading.Thread(target=self._write, args=(copied, step), name="checkpoint")
            self._writer.start()

    @property
    def writing(self) -> bool:
        """Whether this process is writing a checkpoint; rank 0 does."""
        return self._writer is not None and self._writer.is_alive()

    def close(self) -> None:
        """Wait until the last checkpoint is written; a script that ends without this waits, too."""
        if self._writer is not None:
            self._writer.join()

    def _write(self, state: State, step: int) -> None:
        uri, started = str(self._settings.uri), time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="checkpoint-", dir=self._scratch) as folder:
                torch.save(state, Path(folder, _FILE))
                manifest = publish(
                    folder,
                    f"{uri}/step-{step:09d}",
                    kind=_KIND,
                    producer=PRODUCER,
                    parameters={"step": step},
                    replace=True,  # what an earlier attempt has left at this step
                    retry_seconds=PUBLISH_SECONDS,
                    on_unavailable=partial(self._note_saving, step),
                )
        except Exception as error:  # noqa: BLE001 - the thread's outermost code, whose training goes on
            log.warning("step %d was not saved, the training goes on: %s", step, error)
            self._note_saving(step, error)
            return
        self._activity.clear()
        log.info("saved step %d", step)
        if self._progress is not None:
            self._progress.note_checkpoint(step, time.monotonic() - started, manifest.size)
        try:
            _remove_others(uri, step, self._settings.keep)
        except ArtifactError as error:
            log.warning("an old checkpoint could not be removed: %s", error)

    def _note_restoring(self, error: StoreUnavailable) -> None:
        self._activity.write(f"fetching the checkpoint to continue from: {error}")

    def _note_saving(self, step: int, error: Exception) -> None:
        self._activity.write(f"the checkpoint of step {step} is not saved: {error}")


def _fetch(place: _Place, folder: Path, note: Callable[[StoreUnavailable], None]) -> ArtifactError | None:
    """Download a checkpoint; return the problem if it is damaged, raise StoreUnavailable."""
    try:
        retry_unavailable(partial(fetch, place.uri, folder, place.digest), RESTORE_SECONDS, on_unavailable=note)
    except StoreUnavailable:
        raise
    except ArtifactError as error:
        return error
    return None


def _find(settings: CheckpointEnvironment, note: Callable[[StoreUnavailable], None]) -> _Found:
    """Return the checkpoints to continue from: this job's own if it has any."""
    for uri in filter(None, (settings.uri, settings.restore_from)):
        damaged: list[ArtifactError] = []
        places = retry_unavailable(partial(_list, uri, damaged.append), RESTORE_SECONDS, on_unavailable=note)
        for error in damaged:
            log.warning("a checkpoint is damaged: %s", error)
        if places:
            return _Found(places[::-1], [int(found[1]) for error in damaged if (found := _STEP.search(error.uri))])
        if damaged:
            raise damaged[0]  # the training must not begin anew
    if settings.restore_from is not None:
        raise ArtifactError(settings.restore_from, "no checkpoint found, expected one to begin with")
    return _Found([], [])


def _list(uri: str, skip: Callable[[ArtifactError], None] | None = None) -> list[_Place]:
    """Return the checkpoints at and below a URI, the oldest first; `skip` gets the errors of damaged manifests."""
    places = []
    for found, manifest in list_artifacts(uri, skip):
        step: Any = (manifest.parameters or {}).get("step")
        if manifest.kind == _KIND and type(step) is int and step > 0:
            places.append(_Place(found, manifest.digest, step))
    return sorted(places, key=lambda place: place.step)


def _remove_others(uri: str, saved: int, keep: int) -> None:
    """Remove the older checkpoints, and later ones, from which the training was not continued: they are damaged."""
    places = _list(uri)
    current = [place for place in places if place.step <= saved]
    for place in (*current[:-keep], *places[len(current) :]):
        delete(place.uri)
