"""Keep an episode's files from being changed once the agent has begun to send them.

What was sent, and what the centre gives a receipt for, are the bytes of these files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from robot_recorder.floor.agent.outbox import FILE, Outbox


def unsent_in(root: Path) -> Callable[[str], AbstractContextManager[str]]:
    """Return a function that gives, for an episode's name, a block in which nobody begins to send it.

    In the storage of a centre, which keeps receipts beside the bags, every episode must stay.

    The block gets why the episode must stay as it is, or an empty text: its files have not been hashed
    to be sent. An agent that hashes them at the same time notices the change before the centre gives a
    receipt. Entering raises BagError if the outbox cannot be used, ConfigError if it is of a newer version.

    Args:
        root: directory of the episodes.
    """

    @contextmanager
    def unsent(name: str) -> Iterator[str]:
        if root.parent.name == "bags" and (root.parent.parent / "receipts").is_dir():
            yield "it is in the storage of a centre, whose receipts are for these very bytes"
            return
        if not (root / FILE).is_file():
            yield ""
            return
        with closing(Outbox(root)) as outbox, outbox.unsent(name) as is_unsent:
            yield "" if is_unsent else "the station agent has begun to send it"

    return unsent
