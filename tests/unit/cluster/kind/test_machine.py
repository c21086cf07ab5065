"""Restoring the machine: Docker's rules are removed one by one, and nothing else is touched."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from fairlead_cluster.kind.machine import MachineState
from fairlead_cluster.kind.ownership import plan_firewall

BEFORE = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [7:420]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
"""
NOW = """\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 10.1.0.0/16 -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [7:420]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:MINE - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -s 192.0.2.1/32 -m comment --comment "made meanwhile, by \\"me\\"" -j DROP
-A FORWARD -j DOCKER-USER
-A FORWARD -o br-1 -j DOCKER
-A FORWARD -s 10.1.0.0/16 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
"""


def apply(rules: str, *commands: list[str]) -> str:
    """Load rules in a network namespace, run iptables commands there, and return the rules."""
    script = "iptables-restore && " + "".join(f"{_quote(['iptables', *words])} && " for words in commands)
    argv = ["unshare", "-n", "sh", "-c", f"{script} iptables-save"]
    return subprocess.run(argv, input=rules, capture_output=True, text=True, check=True).stdout


def _quote(words: list[str]) -> str:
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


def test_what_docker_added_is_removed_and_nothing_else() -> None:
    calls = plan_firewall(BEFORE, NOW)
    assert [" ".join(words) for words in calls] == [
        "-t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-t nat -F DOCKER",
        "-t nat -X DOCKER",
        "-t filter -D FORWARD -j DOCKER-USER",
        "-t filter -D FORWARD -o br-1 -j DOCKER",
        "-t filter -D DOCKER-USER -j RETURN",
        "-t filter -F DOCKER",
        "-t filter -F DOCKER-USER",
        "-t filter -X DOCKER",
        "-t filter -X DOCKER-USER",
        "-t filter -P FORWARD ACCEPT",
    ]


def test_rules_that_existed_before_stay_even_if_they_are_dockers() -> None:
    assert plan_firewall(NOW, NOW) == []
    assert plan_firewall(BEFORE, BEFORE) == []
    assert plan_firewall(BEFORE, "") == []


def test_a_policy_that_another_program_set_stays() -> None:
    without = BEFORE.replace("FORWARD ACCEPT", "FORWARD DROP")
    assert plan_firewall(BEFORE, without) == []


@pytest.mark.skipif(
    not shutil.which("iptables")
    or subprocess.run(["unshare", "-n", "iptables", "-L"], capture_output=True).returncode != 0,
    reason="needs iptables and a network namespace",
)
def test_the_kernel_accepts_the_commands_and_keeps_the_other_rules() -> None:
    now = apply(NOW)
    left = apply(now, *plan_firewall(BEFORE, now))
    assert "DOCKER" not in left
    assert ":FORWARD ACCEPT" in left
    kept = [line for line in now.splitlines() if line.startswith("-A") and "DOCKER" not in line]
    assert [line for line in left.splitlines() if line.startswith("-A")] == kept
    assert len(kept) == 4


def test_a_record_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text(
        json.dumps({"settings": {}, "forward": {"iptables": "ACCEPT"}, "absent": []})
    )
    state = MachineState.load(tmp_path / "machine.json")
    assert plan_firewall(state.firewall["iptables"], NOW)[-1] == ["-t", "filter", "-P", "FORWARD", "ACCEPT"]
