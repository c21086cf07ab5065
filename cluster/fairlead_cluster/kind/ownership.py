"""Whose the cluster, its network and the rules of the firewall are: only what this home made may be removed. Pure."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class NodeFacts:
    """A container that is a node of the cluster."""

    id: str
    name: str
    created: datetime


@dataclass(frozen=True)
class Record:
    """What a home notes about the cluster that it makes."""

    began: datetime
    """When its creation began; no cluster of this name existed then."""
    made_network: bool
    """Whether Docker had no network of kind's name before."""
    nodes: tuple[str, ...] = ()
    """The ids of its containers; empty until it was created."""


def read_nodes(inspected: str) -> list[NodeFacts]:
    """Read the output of `docker inspect`."""
    return [
        NodeFacts(item["Id"], item["Name"].removeprefix("/"), datetime.fromisoformat(item["Created"]))
        for item in json.loads(inspected or "[]")
    ]


def read_record(text: str) -> Record:
    """Read a record that was written as JSON."""
    document = json.loads(text)
    began = datetime.fromisoformat(document["began"])
    return Record(began, bool(document["made_network"]), tuple(document["nodes"]))


def is_ours(record: Record | None, nodes: Collection[NodeFacts]) -> bool:
    """Return whether this home made these nodes.

    If its creation was cut off, the nodes that were made since it began count as its own.
    """
    if record is None:
        return False
    if record.nodes:
        return all(node.id in record.nodes for node in nodes)
    return all(node.created >= record.began - timedelta(seconds=1) for node in nodes)


def may_remove_network(record: Record | None, containers: Collection[str]) -> bool:
    """Return whether the network may be removed; `containers` are all that use it, stopped ones included."""
    return record is not None and record.made_network and not containers


def plan_firewall(before: str, now: str) -> list[list[str]]:
    """Return the arguments of each `iptables` call that removes what Docker added since `before`.

    Both are texts of `iptables-save`. Rules and chains that existed before stay, and all that are not Docker's.
    """
    old, new = _parse(before), _parse(now)
    calls: list[list[str]] = []
    for table, found in new.items():
        known = old.get(table, _Table())
        added = [rule for rule in found.rules if rule not in known.rules and _of_docker(rule)]
        calls += [["-t", table, "-D", *_words(rule)] for rule in added]
        chains = [name for name in found.policies if name not in known.policies and _of_docker(name)]
        calls += [["-t", table, "-F", name] for name in chains]
        calls += [["-t", table, "-X", name] for name in chains]
    was, policy = (tables.get("filter", _Table()).policies.get("FORWARD", "ACCEPT") for tables in (old, new))
    if was == "ACCEPT" and policy == "DROP" and any(_of_docker(name) for name in new["filter"].policies):
        calls.append(["-t", "filter", "-P", "FORWARD", was])
    return calls


@dataclass(frozen=True)
class _Table:
    policies: dict[str, str] = field(default_factory=dict)
    """The policy of each chain; - for one that is not built in."""
    rules: list[str] = field(default_factory=list)


def _parse(saved: str) -> dict[str, _Table]:
    tables: dict[str, _Table] = {}
    table = _Table()
    for line in saved.splitlines():
        if line.startswith("*"):
            table = tables.setdefault(line[1:].strip(), _Table())
        elif found := re.match(r":(\S+) (\S+)", line):
            table.policies[found[1]] = found[2]
        elif line.startswith("-A "):
            table.rules.append(line.removeprefix("-A ").strip())
    return tables


def _of_docker(text: str) -> bool:
    return bool(re.search(r"\bDOCKER\b|\bDOCKER-", text))


def _words(rule: str) -> list[str]:
    """Split a rule as iptables-save quotes it."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', rule)
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else bare for quoted, bare in words]
