"""Tell the centre of new, changed and discarded episodes, and of deleted ones: metadata, at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from robot_recorder.bags.files import read_text
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.agent.link import CentreLink
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow
from robot_recorder.floor.agent.retries import Retries
from robot_recorder.floor.agent.signatures import metadata_signature
from robot_recorder.floor.client import CentreError
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import event_id, load_plain
from robot_recorder.model.text import visible

_MOST_EPISODES = 20
_MOST_BYTES = 12_000_000  # of all in one request; the centre takes 16 MB
_MOST_SAID = 500
_PATIENCE = 3  # failures of the centre, before each episode is offered by itself


class Offers:
    """Offers episodes of a root to the centre. One thread uses it."""

    def __init__(
        self,
        store: EpisodeStore,
        outbox: Outbox,
        link: CentreLink,
        retries: Retries,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create it; nothing is sent yet.

        Args:
            store: the episodes; labels of the centre are merged into them.
            outbox: what the centre knows.
            link: to the centre.
            retries: of what it refused.
            say: called with a sentence for each episode that is new at the centre.
        """
        self._store = store
        self._outbox = outbox
        self._link = link
        self._retries = retries
        self._say = say
        self._failures = 0  # in a row, of whole requests

    def send(self) -> int:
        """Offer what the centre does not know, at most a request's worth; return how many it took.

        Raises:
            CentreError, UnreachableError: the centre does not take it.
            BagError: the outbox cannot be used.
        """
        batch = self._batch()
        if not batch:
            return 0
        try:
            answer = self._link.post("/agent/offer", {"episodes": [plain for _, plain in batch]})
        except CentreError as error:
            if not self._is_of_content(error):
                raise
            # One of them spoils the request: each by itself.
            return sum(self._offer_alone(row, plain) for row, plain in batch)
        self._failures = 0
        return self._take(batch, answer)

    def _is_of_content(self, error: CentreError) -> bool:
        """Return whether it may be one episode that the centre cannot take, rather than the centre."""
        if (
            error.status == 500 and not error.trouble
        ):  # it stumbled, and said nothing of its own state
            self._failures += 1
            return self._failures >= _PATIENCE
        return not error.is_passing and error.status not in (401, 403)

    def _offer_alone(self, row: OutboxRow, plain: dict[str, Any]) -> int:
        try:
            answer = self._link.post("/agent/offer", {"episodes": [plain]})
        except CentreError as error:
            if not self._is_of_content(error):
                raise
            self._refused(row, str(error))
            return 0
        return self._take([(row, plain)], answer)

    def _batch(self) -> list[tuple[OutboxRow, dict[str, Any]]]:
        batch: list[tuple[OutboxRow, dict[str, Any]]] = []
        size = 0
        for row in self._outbox.to_offer(_MOST_EPISODES, self._retries.waiting()):
            text = ""
            if not row.is_discarded:
                path = self._store.root / row.name
                try:
                    text = read_text(path / METADATA_FILE, _MOST_BYTES)
                except (OSError, ValueError) as error:
                    self._refused(row, f"it cannot be read: {error}")
                    continue
                # A change between the two is noticed by the signature, and offered next.
                if metadata_signature(path) != row.seen.metadata:
                    continue
            size += len(text) * 2
            if batch and size > _MOST_BYTES:
                break
            plain = {"id": row.name, "metadata": text, "discarded": row.is_discarded}
            batch.append((row, plain))
        return batch

    def _take(
        self, batch: Sequence[tuple[OutboxRow, dict[str, Any]]], answer: Mapping[str, Any]
    ) -> int:
        results = answer.get("results")
        taken, done, problems = [], [], {}
        for row, _ in batch:
            result = results.get(row.name) if isinstance(results, dict) else None
            if not isinstance(result, dict) or result.get("ok") is not True:
                said = result.get("message") if isinstance(result, dict) else ""
                self._refused(row, str(said or "the centre did not say whether it took it"))
                continue
            problem = ""
            if result.get("labels") and not row.is_discarded:
                problem = merge_labels(self._store, row.name, result["labels"])
            if problem:
                problems[row.name] = problem
            done.append(row)
            taken.append((row.name, "" if problem else row.offer_key))
        # Only now: the labels are on the disk.
        self._outbox.offer(taken, {row.name: row.offered for row in done})
        for row in done:
            if row.name in problems:
                self._outbox.trouble(row.name, problems[row.name])
                self._retries.failed(row.name)
                continue
            self._retries.worked(row.name)
            if not row.offered:
                self._say(f"offered {row.name}")
        return len(taken)

    def _refused(self, row: OutboxRow, problem: str) -> None:
        self._retries.failed(row.name)
        problem = f"the centre does not take its metadata: {visible(problem)[:_MOST_SAID]}"
        if problem != row.problem:
            self._outbox.trouble(row.name, problem)

    def tell_freed(self) -> None:
        """Tell the centre which episodes were deleted from this disk.

        Raises:
            CentreError, UnreachableError: the centre cannot be told now.
            BagError: the outbox cannot be used.
        """
        names = self._outbox.untold()
        if names and not self._told(names) and len(names) > 1:
            for name in names:  # one of them spoils the request
                self._told([name])

    def _told(self, names: list[str]) -> bool:
        """Return whether the centre took it; it is not told again of a single one that it refuses."""
        try:
            self._link.post("/agent/freed", {"ids": names})
        except CentreError as error:
            if error.is_passing or error.status == 401:
                raise
            if len(names) > 1:
                return False
            self._say(f"the centre does not take that {names[0]} was deleted here: {error}")
        self._outbox.tell(names)
        return True


def merge_labels(store: EpisodeStore, name: str, events: Any) -> str:
    """Take labels of the centre into an episode on this disk, unless it has them already.

    Args:
        store: the episodes.
        name: of one.
        events: in plain form, from the network.

    Returns:
        Why they could not be taken; empty: they are there.
    """
    path = store.root / name
    try:
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise BagError("it is not a list of label events")
        if not metadata_signature(path):
            raise BagError("it is not on this disk")
        known = set(map(event_id, load_plain(Episode.open(path).facts.get("labels", ""))))
        new = [event for event in events if event_id(event) not in known]
        if new:
            store.merge_labels(path, new)
    except (BagError, ValueError, TypeError) as error:
        return f"labels of the centre cannot be taken: {error}"
    return ""
