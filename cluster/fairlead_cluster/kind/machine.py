"""The settings of the machine that a container engine and a kubelet change, saved before and restored afterwards."""

import json
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fairlead_cluster.kind.ownership import plan_firewall

# dockerd sets the first, a kubelet the others, to these values: they are the kernel's, not the container's.
_KERNEL_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}
# of runc, dockerd and containerd's shims, which name them themselves; innermost first
_RUN_FOLDERS = ("/run/containerd/s", "/run/containerd", "/run/docker/plugins", "/run/docker", "/run/runc")
_FIREWALLS = ("iptables", "ip6tables")


@dataclass(frozen=True)
class MachineState:
    """Kernel settings by name, the rules of each firewall, and the folders that did not exist."""

    settings: dict[str, str]
    firewall: dict[str, str]
    absent: list[str]

    @classmethod
    def record(cls) -> "MachineState":
        """Read the state of this machine."""
        paths = {name: Path("/proc/sys", name) for name in _KERNEL_SETTINGS}
        return cls(
            settings={name: path.read_text().strip() for name, path in paths.items() if path.exists()},
            firewall={name: _rules(name) for name in _FIREWALLS},
            absent=[name for name in _RUN_FOLDERS if not Path(name).exists()],
        )

    @classmethod
    def load(cls, path: Path) -> "MachineState":
        """Read a state that was saved."""
        document = json.loads(path.read_text())
        if forward := document.pop("forward", None):  # of an earlier version, which noted the policies only
            document["firewall"] = {name: f"*filter\n:FORWARD {policy} [0:0]\n" for name, policy in forward.items()}
        return cls(**document)

    def save(self, path: Path) -> None:
        """Write the state for a later process."""
        path.write_text(json.dumps(asdict(self)))

    def restore(self) -> None:
        """Restore the settings that were changed and remove Docker's rules, control groups and empty folders."""
        for name, value in self.settings.items():
            path = Path("/proc/sys", name)
            # another value was set by another program since then
            if value != _KERNEL_SETTINGS.get(name) == path.read_text().strip():
                path.write_text(value)
        for name in _FIREWALLS:
            for arguments in plan_firewall(self.firewall.get(name, ""), _rules(name)):
                subprocess.run([name, "--wait", *arguments], capture_output=True)  # one that is gone is no error
        for group in Path("/sys/fs/cgroup").glob("*/docker"):
            for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                folder.rmdir()
            group.rmdir()
        for name in self.absent:
            with suppress(OSError):  # gone, or used by another engine by now
                Path(name).rmdir()


def _rules(firewall: str) -> str:
    try:
        return subprocess.run([f"{firewall}-save"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):  # not installed, or a kernel without it
        return ""
