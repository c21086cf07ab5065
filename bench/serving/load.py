"""A load generator: one HTTP request again and again over some connections, as fast as they are answered or at a rate.

It polls without sleeping, because timers are coarser than the latencies that it measures: it needs a core of its own.
At a rate, a request's latency counts from when it was due, so that a server that stands still is not asked less.
"""

import argparse
import json
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

from bench.figures import percentile

_LENGTH = b"content-length:"


@dataclass(eq=False)
class Client:
    """One connection, which sends a request only when the one before is answered."""

    connection: socket.socket
    due: float = 0.0
    """When the request that it waits for was due."""
    received: bytearray = field(default_factory=bytearray)
    missing: int = -1
    """The bytes until the response is whole; -1 while its headers are not."""

    def send(self, request: bytes, due: float) -> None:
        """Send a request."""
        self.due = due
        sent = self.connection.send(request)
        if sent != len(request):  # a body larger than the socket's buffer
            self.connection.setblocking(True)
            self.connection.sendall(request[sent:])
            self.connection.setblocking(False)

    def receive(self) -> bool:
        """Read what has arrived; return True if the response is whole. Raise RuntimeError unless it is a 200."""
        data = self.connection.recv(1 << 20)
        if not data:
            raise RuntimeError("the server has closed a connection")
        if self.missing < 0:
            self.received += data
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = bytes(self.received[:end]).lower()
            if not head.startswith(b"http/1.1 200"):
                raise RuntimeError(f"expected 200, got {bytes(self.received[:400])!r}")
            at = head.index(_LENGTH) + len(_LENGTH)
            length = int(head[at:].split(b"\r\n", 1)[0])
            self.missing = length - (len(self.received) - end - 4)
        else:
            self.missing -= len(data)
        if self.missing:
            return False
        self.received.clear()
        self.missing = -1
        return True


def connect(port: int, count: int) -> list[Client]:
    """Connect to a server of this machine."""
    clients = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        clients.append(Client(connection))
    return clients


def run(
    port: int, request: bytes, connections: int, seconds: float, rate: float | None, sleep: bool = False
) -> list[float]:  # fmt: skip
    """Send a request for some seconds; return the latency of each answer in seconds, in the order of the answers.

    Without a rate it may sleep until there is an answer, where the server needs all cores.
    """
    clients = connect(port, connections)
    by_number = {client.connection.fileno(): client for client in clients}
    poll = select.epoll()
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    idle, latencies, sent = deque(clients), list[float](), 0
    start = now = time.perf_counter()
    end = start + seconds
    while now < end or len(idle) < len(clients):
        now = time.perf_counter()
        while idle and now < end:
            due = now if rate is None else start + sent / rate
            if due > now:
                break
            idle.popleft().send(request, due)
            sent += 1
        for number, _ in poll.poll(0.1 if sleep else 0):
            client = by_number[number]
            if client.receive():
                latencies.append(time.perf_counter() - client.due)
                idle.append(client)
        if now > end + 30:
            raise RuntimeError("answers are missing 30 s after the last request")
    return latencies


def main() -> None:
    """Run, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=float, help="requests per second (default: as fast as they are answered)")
    options = parser.parse_args()
    request = sys.stdin.buffer.read()
    latencies = run(options.port, request, options.connections, options.seconds, options.rate)
    figures = {
        "rate": len(latencies) / options.seconds,
        "p50": percentile(latencies, 50) * 1000,
        "p99": percentile(latencies, 99) * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
