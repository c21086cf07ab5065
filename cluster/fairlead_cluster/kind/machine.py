"""The settings of the machine that a container engine and a kubelet change, saved before and restored afterwards."""

import json
import re
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

# dockerd sets the first, a kubelet the others: they are the kernel's, not the container's.
_KERNEL_SETTINGS = (
    "net/ipv4/ip_forward",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# of runc, dockerd and containerd's shims, which name them themselves; innermost first
_RUN_FOLDERS = ("/run/containerd/s", "/run/containerd", "/run/docker/plugins", "/run/docker", "/run/runc")
_FIREWALLS = ("iptables", "ip6tables")


@dataclass(frozen=True)
class MachineState:
    """Kernel settings by name, the policies of the FORWARD chains by firewall, and the folders that did not exist."""

    settings: dict[str, str]
    forward: dict[str, str]
    absent: list[str]

    @classmethod
    def record(cls) -> "MachineState":
        """Read the state of this machine."""
        paths = {name: Path("/proc/sys", name) for name in _KERNEL_SETTINGS}
        return cls(
            settings={name: path.read_text().strip() for name, path in paths.items() if path.exists()},
            forward={name: _forward_policy(_rules(name)) for name in _FIREWALLS},
            absent=[name for name in _RUN_FOLDERS if not Path(name).exists()],
        )

    @classmethod
    def load(cls, path: Path) -> "MachineState":
        """Read a state that was saved."""
        return cls(**json.loads(path.read_text()))

    def save(self, path: Path) -> None:
        """Write the state for a later process."""
        path.write_text(json.dumps(asdict(self)))

    def restore(self) -> None:
        """Restore the settings and remove Docker's rules, control groups and empty folders."""
        for name, value in self.settings.items():
            path = Path("/proc/sys", name)
            if path.read_text().strip() != value:
                path.write_text(value)
        for name in _FIREWALLS:
            rules = _rules(name)
            if rules:
                kept = without_docker(rules, self.forward.get(name, "ACCEPT"))
                subprocess.run([f"{name}-restore"], input=kept, text=True, check=True)
        for group in Path("/sys/fs/cgroup").glob("*/docker"):
            for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                folder.rmdir()
            group.rmdir()
        for name in self.absent:
            with suppress(OSError):  # gone, or used by another engine by now
                Path(name).rmdir()


def without_docker(rules: str, forward: str) -> str:
    """Return an iptables-save text without Docker's chains and the rules that lead to them."""
    lines = (line for line in rules.splitlines() if not re.search(r"\bDOCKER\b|\bDOCKER-", line))
    return "\n".join(re.sub(r"^:FORWARD \w+", f":FORWARD {forward}", line) for line in lines) + "\n"


def _forward_policy(rules: str) -> str:
    found = re.search(r"^:FORWARD (\w+)", rules, re.MULTILINE)
    return found[1] if found else "ACCEPT"


def _rules(firewall: str) -> str:
    try:
        return subprocess.run([f"{firewall}-save"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):  # not installed, or a kernel without it
        return ""
