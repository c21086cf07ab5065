"""Keep a device's model answering: serve the good release, try what is offered, and go back when it does not stand."""

import asyncio
import logging
from dataclasses import dataclass

from fairlead_artifacts import StoreUnavailable
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.limits import Limits

from ..errors import InvalidBundle
from .folder import MAX_REASON, Damaged, Folder
from .live import Live
from .removing import remove_unused
from .slots import Offer, Release, Slots, begin, check_trial, confirm, find_candidate, interrupt, lose, reject
from .trial import Trial

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_RETRY_SECONDS, _FALLBACK_SECONDS = 5.0, 60.0
"""After how long a good release that cannot be loaded is tried again: while nothing answers, and while the one before
it does."""


@dataclass(frozen=True)
class Settings:
    """How a device serves."""

    threads: int = 1
    probation_seconds: float = 60.0
    """How long a candidate answers requests before it is confirmed."""


class Keeper:
    """The releases of a device behind one data plane."""

    def __init__(self, folder: Folder, plane: DataPlane, limits: Limits, settings: Settings) -> None:
        self._folder, self._plane, self._limits, self._settings = folder, plane, limits, settings
        self._slots = Slots()
        self._live: Live | None = None
        self._next_load = 0.0
        """When the good release may be loaded again, in the event loop's time."""
        self._unsaved = False
        self._lost = False
        """Whether the state was lost, and no release is known to be good yet."""
        self._tried: set[str] = set()
        """The releases that were tried because of that."""

    async def run(self) -> None:
        """Serve until the task is cancelled."""
        try:
            self._slots = self._load_slots()
            self._clean()
            while True:
                if not self._plane.draining:
                    await self._look()
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            if self._live is not None:
                await self._live.close()

    async def _look(self) -> None:
        """Serve the good release if it is not served, and try a candidate if there is one."""
        self._write()
        if self._live is not None and self._live.failure is not None:
            _log.error("the model cannot be served", extra={"reason": self._live.failure})
            self._live = None
        if self._slots.good is not None and (self._live is None or self._live.release != self._slots.good):
            await self._serve_good(self._slots.good)
        if (offer := find_candidate(self._slots, self._find_offer())) is not None:
            await self._try(offer)
            self._clean()

    # The good release

    async def _serve_good(self, good: Release) -> None:
        """Serve the good release; while it cannot be loaded, the one before it answers."""
        clock = asyncio.get_running_loop().time
        if clock() < self._next_load:
            return
        try:
            live = await self._load(good)
        except InvalidBundle as error:
            self._lose(str(error))
            return
        if live is None and self._live is None and self._slots.previous is not None:
            try:
                live = await self._load(self._slots.previous)
            except InvalidBundle as error:
                _log.error("the release before it is damaged", extra={"reason": str(error)})
        if live is not None:
            before = self._live
            self._switch(live)
            if before is not None:
                await before.retire(self._limits.grace_seconds)
        self._next_load = clock() + (_RETRY_SECONDS if self._live is None else _FALLBACK_SECONDS)

    async def _load(self, release: Release) -> Live | None:
        """Return a release that is ready; None after a failure that may pass. Raise InvalidBundle for wrong bytes."""
        try:
            live = await self._start(release.digest)
        except StoreUnavailable as error:
            _log.error("the model cannot be read", extra={"reason": str(error)})
            return None
        try:
            await live.wait_ready()
        except InvalidBundle as error:
            await live.close()
            _log.error("the model cannot be loaded", extra={"digest": release.digest, "reason": str(error)})
            return None
        except asyncio.CancelledError:
            await live.close()
            raise
        return live

    def _lose(self, reason: str) -> None:
        _log.error("the release is lost", extra={"reason": reason})
        self._next_load = 0.0
        self._save(lose(self._slots, reason[:MAX_REASON]))

    # A trial

    async def _try(self, offer: Offer) -> None:
        """Try a candidate: test it, let it answer for a while, and confirm or reject it."""
        before = self._slots
        self._save(begin(before, offer))
        if self._unsaved:
            # a trial that is not counted could end the device again and again
            self._slots = before
            await asyncio.sleep(_RETRY_SECONDS)
            return
        problem = check_trial(self._slots, offer)
        if problem is None:
            try:
                problem = await self._run_trial(offer)
                if problem is not None and self._plane.draining:
                    await asyncio.Event().wait()  # the server has ended the processes, and will end this
            except asyncio.CancelledError:
                self._save(interrupt(self._slots))
                raise
        if problem is None:
            self._save(confirm(self._slots))
            _log.info("the release is confirmed", extra={"digest": offer.release.digest})
            return
        _log.error("the release is rejected", extra={"digest": offer.release.digest, "reason": problem})
        self._save(reject(self._slots, problem[:MAX_REASON]))

    async def _run_trial(self, offer: Offer) -> str | None:
        """Return what is wrong with a candidate, after which what was served before is served again; or None."""
        try:
            live = await self._start(offer.release.digest)
        except (InvalidBundle, StoreUnavailable) as error:
            return str(error)
        before, trial = self._live, Trial(live, self._settings.probation_seconds, self._limits.load_timeout_seconds)
        try:
            problem = await trial.test()
            if problem is None:
                self._switch(live)
                problem = await trial.watch(lambda: find_candidate(self._slots, self._find_offer()) != offer)
        except asyncio.CancelledError:
            await live.close()
            self._live = before
            raise
        if problem is None:
            if before is not None:
                await before.retire(self._limits.grace_seconds)
            return None
        if before is not None:
            self._switch(before)
        else:
            self._live = None
        await live.retire(0 if live.failure else self._limits.grace_seconds)
        return problem

    # What is served and kept

    async def _start(self, digest: str) -> Live:
        bundle = await asyncio.to_thread(self._folder.open, digest)
        return Live(bundle, self._settings.threads, self._limits)

    def _switch(self, live: Live) -> None:
        """Let a release answer the requests from now on."""
        self._live = live
        self._plane.replace(live.name, live.release.digest, live.processes)
        _log.info("serving", extra={"digest": live.release.digest, "version": live.release.version})

    def _save(self, slots: Slots) -> None:
        """Go on from a state; what a full disk does not keep is written later."""
        self._slots, self._unsaved = slots, True
        self._write()

    def _write(self) -> None:
        """Write the state unless that is done."""
        if self._unsaved:
            try:
                self._folder.write_slots(self._slots)
            except OSError as error:
                _log.error("the state cannot be written", extra={"reason": str(error)})
                return
            self._unsaved = False

    def _clean(self) -> None:
        try:
            remove_unused(self._folder)
        except OSError as error:
            _log.warning("releases cannot be removed", extra={"reason": str(error)})

    def _load_slots(self) -> Slots:
        try:
            return self._folder.read_slots() or Slots()
        except Damaged as error:
            _log.error("the state is damaged", extra={"reason": str(error)})
            self._lost = True
            return Slots()

    def _find_offer(self) -> Offer | None:
        """Return the newest offer; of a device that has lost its state, else the newest release that it has."""
        try:
            offer = self._folder.read_offer()
        except Damaged as error:
            _log.error("the offer is damaged", extra={"reason": str(error)})
            offer = None
        self._lost = self._lost and self._slots.good is None
        pending = offer is not None and offer.sequence > self._slots.handled
        if not self._lost or pending or self._slots.candidate is not None:
            return offer
        return self._recover()

    def _recover(self) -> Offer | None:
        """Return an offer of a release on the disk: one that is tried like any other."""
        release = next((each for each in self._folder.list() if each.digest not in self._tried), None)
        if release is None:
            return None
        self._tried.add(release.digest)
        return Offer(self._slots.handled + 1, release, older=True)
