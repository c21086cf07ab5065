"""Removal of Docker's rules from the firewall."""

from fairlead_cluster.kind.machine import without_docker

RULES = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [7:420]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -s 10.1.0.0/16 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
"""


def test_docker_rules_are_removed_and_all_others_kept() -> None:
    assert without_docker(RULES, "ACCEPT") == (
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [7:420]\n:OUTPUT ACCEPT [0:0]\n"
        "-A INPUT -p tcp --dport 22 -j ACCEPT\n-A FORWARD -s 10.1.0.0/16 -j ACCEPT\nCOMMIT\n"
    )


def test_the_recorded_policy_is_restored() -> None:
    assert ":FORWARD DROP " in without_docker(RULES, "DROP")
