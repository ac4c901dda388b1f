"""The result of a request: success or refusal, with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """The result of a request that may be refused.

    Attributes:
        ok: whether it succeeded.
        reason: why it was refused, or a warning; empty: nothing to say.
        value: the episode's directory; None: there is none.
        forced: whether it succeeded only because of ``force``.
    """

    ok: bool
    reason: str = ""
    value: Path | None = None
    forced: bool = False
