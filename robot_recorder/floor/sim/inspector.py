"""An inspector without a browser, who works through a centre's review queue as the page does."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_S = 10.0
_PAUSE_S = 0.3  # after a failure, and while nothing is to be done
_REASONS = ("operator_error", "sensor_broken", "bad_view")


class SimInspector:
    """Claims and decides in a thread of its own, until it is stopped. Use it with ``with``.

    Attributes:
        decided: number of decisions that the centre took.
        failed: requests that were refused or not answered, as when the centre is away.
        next_ms: how long each answered request for the next episodes took, ms.
    """

    def __init__(
        self, url: str, name: str, password: str, seed: int, pause_s: float = 0.05
    ) -> None:
        """Create it.

        Args:
            url: of the centre.
            name, password: of a user who may review.
            seed: of what it decides.
            pause_s: how long it looks at an episode.
        """
        at = urlsplit(url)
        self._address = at.hostname or "127.0.0.1", at.port or 80
        self._origin = url
        self._login = {"name": name, "password": password}
        self._rng = random.Random(seed)
        self._pause_s = pause_s
        self._cookie = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._connection: http.client.HTTPConnection | None = None
        self.decided = 0
        self.failed = 0
        self.next_ms: list[float] = []

    def __enter__(self) -> SimInspector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End after the request that runs."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                if not self._cookie:
                    self._post("/api/login", self._login)
                pause_s = self._pause_s if self._work() else _PAUSE_S
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                self.failed += 1
                self._connection = None
                pause_s = _PAUSE_S
            self._ended.wait(pause_s)

    def _work(self) -> bool:
        """Decide what comes next; return whether there was anything."""
        began = time.perf_counter()
        answer = self._post("/api/review/next", {"count": 2})
        self.next_ms.append(1000 * (time.perf_counter() - began))
        for item in answer["items"]:
            if self._ended.wait(self._pause_s):
                return True
            self._post("/api/review/decide", {**self._decision(item), "claim": item["claim"]})
            self.decided += 1
        return bool(answer["items"])

    def _decision(self, item: dict[str, Any]) -> dict[str, Any]:
        usable = self._rng.random() < 0.9
        failed = self._rng.random() < 0.3
        cause = self._rng.choice(item["causes"] or [""]) if failed else ""
        return {
            "site": item["site"], "id": item["id"], "outcome": "failure" if failed else "success",
            "cause": cause, "usable": usable, "reason": "" if usable else self._rng.choice(_REASONS),
        }  # fmt: skip

    def _post(self, path: str, plain: dict[str, Any]) -> dict[str, Any]:
        """Return a centre's answer.

        Raises:
            OSError, HTTPException: there is none.
            ValueError: it refuses.
        """
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=_TIMEOUT_S)
        headers = {
            "Content-Type": "application/json",
            "Origin": self._origin,
            "Cookie": self._cookie,
        }
        self._connection.request("POST", path, json.dumps(plain), headers)
        reply = self._connection.getresponse()
        answer = json.loads(reply.read())
        if reply.status == 401:
            self._cookie = ""
        if reply.status != 200 or not answer.get("ok"):
            raise ValueError(f"{path}: {reply.status} {answer.get('message')}")
        if cookie := reply.getheader("Set-Cookie"):
            self._cookie = cookie.partition(";")[0]
        return dict(answer)
