"""Clients of served models, which note what they get; as a program in a pod, they log it each second.

Imports nothing but the standard library, because a pod has no more.
"""

import http.client
import itertools
import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

Rows = Sequence[tuple[float, float, float]]


class Clients:
    """Clients that send requests to a deployment's Service until they are stopped, about 40 a second.

    Each of the eight sends its rows in turn; with `users`, for each of so many users of its own, by the header X-User.
    """

    def __init__(self, address: str, name: str, rows: Rows = ((1, 2, 4),), users: int = 0) -> None:
        self.answers: Counter[str] = Counter()
        """How often each answer came."""
        self.routes: dict[str, list[str]] = defaultdict(list)
        """Who answered each user's requests, in their order: the header Fairlead-Route."""
        self.failed: list[str] = []
        """When, by which revision and how requests failed."""
        self._address, self._path = address, f"/v2/models/{name}/infer"
        self._over = threading.Event()
        self._rows, self._users = rows, users
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(8)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        for turn in itertools.count():
            if self._over.wait(0.2):
                return
            values = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": self._rows[turn % len(self._rows)]}
            # one client for each user, so that there is an order
            user = f"user-{8 * (turn // len(self._rows) % self._users) + number}" if self._users else ""
            self._send(json.dumps({"inputs": [values]}), user)

    def _send(self, body: str, user: str) -> None:
        headers = {"Content-Type": "application/json"} | ({"X-User": user} if user else {})
        connection = http.client.HTTPConnection(self._address, 8080, timeout=30)
        try:
            connection.request("POST", self._path, body, headers)
            response = connection.getresponse()
            content = response.read()
            if response.status == 200:
                self.answers[str(json.loads(content)["outputs"][0]["data"])] += 1
                self.routes[user].append(response.headers.get("Fairlead-Route", ""))
            else:
                self._note(f"{response.status} of {response.headers.get('Fairlead-Route')}: {content[:200]!r}")
        except OSError as error:
            self._note(repr(error))
        finally:
            connection.close()

    def _note(self, problem: str) -> None:
        self.failed.append(f"{datetime.now(UTC):%H:%M:%S.%f} {problem}")


def main() -> None:
    """Send requests to the Service and deployment that the arguments name until the pod ends."""
    address, name = sys.argv[1:]
    with Clients(address, name) as clients:
        while True:
            time.sleep(1)
            print(json.dumps({"answers": clients.answers, "failed": clients.failed}), flush=True)


if __name__ == "__main__":
    main()
