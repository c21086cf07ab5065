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
from .slots import Offer, Slots, begin, check_trial, confirm, find_candidate, interrupt, lose, reject

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 5.0
_LOADS = 2
"""How many times in a row a good release may fail to load before the one before it is served."""
_MAX_RESTARTS = 3
"""How many times a candidate's model process may be replaced on probation: single requests can end any model's."""


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
        self._failed = 0
        self._unsaved = False

    async def run(self) -> None:
        """Serve until the task is cancelled."""
        try:
            self._slots = self._load_slots()
            while True:
                await self._look()
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            if self._live is not None:
                await self._live.close()

    async def _look(self) -> None:
        """Serve the good release if nothing is served, and try a candidate if there is one."""
        self._write()
        if self._live is not None and self._live.failure is not None:
            _log.error("the model cannot be served", extra={"reason": self._live.failure})
            self._live = None
        if self._live is None and self._slots.good is not None:
            await self._serve_good()
        if (offer := find_candidate(self._slots, self._read_offer())) is not None:
            await self._try(offer)
            self._clean()

    async def _serve_good(self) -> None:
        """Serve the good release; if it cannot be served, a later look serves the one before it."""
        assert self._slots.good is not None
        try:
            live = await self._start(self._slots.good.digest)
        except InvalidBundle as error:  # its bytes are not what they were
            self._lose(str(error))
            return
        except StoreUnavailable as error:
            await self._wait_or_lose(str(error))
            return
        try:
            await live.wait_ready()
        except InvalidBundle as error:
            await live.close()
            await self._wait_or_lose(str(error))
            return
        except asyncio.CancelledError:
            await live.close()
            raise
        self._failed = 0
        self._switch(live)

    async def _wait_or_lose(self, reason: str) -> None:
        """Let the good release be tried again, after a failure that may pass, or give it up for the one before it."""
        self._failed += 1
        _log.error("the model cannot be loaded", extra={"reason": reason, "attempt": self._failed})
        if self._failed >= _LOADS and self._slots.previous is not None:
            self._lose(reason)
        else:
            await asyncio.sleep(_RETRY_SECONDS)

    def _lose(self, reason: str) -> None:
        _log.error("the release is lost", extra={"reason": reason})
        self._failed = 0
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
        before = self._live
        try:
            await live.wait_ready()
            problem = await live.find_problem()
            if problem is None:
                self._switch(live)
                problem = await self._watch(live)
        except InvalidBundle as error:
            problem = str(error)
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

    async def _watch(self, live: Live) -> str | None:
        """Let a candidate answer requests for the probation; return what is wrong with it, or None."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._settings.probation_seconds
        while clock() < end:
            await asyncio.wait([live.running], timeout=min(_POLL_SECONDS, self._settings.probation_seconds))
            if live.failure is not None:
                return live.failure
            if live.restarts >= _MAX_RESTARTS:
                return f"the model process ended {live.restarts} times within the probation"
        return None

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
            remove_unused(self._folder, self._slots)
        except OSError as error:
            _log.warning("releases cannot be removed", extra={"reason": str(error)})

    def _load_slots(self) -> Slots:
        """Return the state; if it is damaged, one of the releases that verify."""
        try:
            return self._folder.read_slots() or Slots()
        except Damaged as error:
            _log.error("the state is damaged", extra={"reason": str(error)})
        found = self._folder.list()
        good, previous = (*found[:2], None, None)[:2]
        return Slots(good, previous, floor=good.version if good else 0)

    def _read_offer(self) -> Offer | None:
        try:
            return self._folder.read_offer()
        except Damaged as error:
            _log.error("the offer is damaged", extra={"reason": str(error)})
            return None
