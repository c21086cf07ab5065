"""Scripts for `torchrun`: the environment variables that it sets, without its processes.

https://pytorch.org/docs/stable/elastic/run.html#environment-variables
"""

from collections.abc import Mapping, Sequence

from .base import Launch, Member, Rendezvous, Slot

_PEER_LOST = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "DistNetworkError",
    "DistStoreError",
    "ncclRemoteError",
    "ncclSystemError",
    "Connection was likely closed",
)


class TorchrunBackend:
    """Runs of torch.distributed: rank 0 serves the store at a free port of its worker.

    As by `torchrun`, the processes of an elastic run are stopped at each change of its members and started anew: an
    epoch has other ranks, and another port for its store, which no process of an earlier epoch knows.
    """

    module, requirement = "torch", "torch"
    restarts = True
    notice_seconds = 0.0

    def begin(self, launch: Launch) -> Rendezvous:
        """Begin a run; nothing runs in the launcher."""
        return _TorchRendezvous(launch)

    def extend(self, environment: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002
        """Return nothing: the slot's variables suffice."""
        return {}

    def is_consequence(self, log_tail: str) -> bool:
        """Return whether a process failed because torch.distributed lost a peer."""
        return any(words in log_tail for words in _PEER_LOST)


class _TorchRendezvous:
    def __init__(self, launch: Launch) -> None:
        self._launch = launch

    def prepare(self, member: Member) -> Sequence[Slot]:  # noqa: ARG002
        """Return nothing: processes start with their epoch."""
        return ()

    def look(self) -> None:
        """Do nothing: no process waits."""

    def assign(
        self,
        members: Sequence[Member],
        epoch: int,
        held: Sequence[Member] = (),  # noqa: ARG002
    ) -> dict[int, list[Slot]]:
        """Assign ranks in the order of the members."""
        size = sum(member.slots for member in members)
        shared = {
            "MASTER_ADDR": members[0].address,
            "MASTER_PORT": str(members[0].port),
            "WORLD_SIZE": str(size),
            "GROUP_WORLD_SIZE": str(len(members)),
            "ROLE_NAME": "default",
            "ROLE_WORLD_SIZE": str(size),
            "TORCHELASTIC_RUN_ID": self._launch.job,
            "TORCHELASTIC_RESTART_COUNT": str(self._launch.attempt + epoch),
            # rank 0 serves the store itself
            "TORCHELASTIC_USE_AGENT_STORE": "False",
            # builds of torch without libuv, such as Debian's, reject the default; rank 0 and the others need not agree
            "USE_LIBUV": "0",
        }
        slots: dict[int, list[Slot]] = {}
        rank = 0
        for group, member in enumerate(members):
            slots[member.worker] = []
            for local in range(member.slots):
                own = {
                    "RANK": str(rank),
                    "LOCAL_RANK": str(local),
                    "LOCAL_WORLD_SIZE": str(member.slots),
                    "GROUP_RANK": str(group),
                    "ROLE_RANK": str(rank),
                    "GLOO_SOCKET_IFNAME": member.interface,
                    "NCCL_SOCKET_IFNAME": member.interface,
                }
                slots[member.worker].append(Slot(rank, shared | own))
                rank += 1
        return slots

    def announce(self, members: Sequence[Member], since: float) -> None:
        """Do nothing: the agents stop the processes."""

    def stop(self) -> None:
        """Do nothing: no service runs."""
