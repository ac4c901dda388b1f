"""An expected yes or no, with its reason and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """An expected yes or no.

    Attributes:
        ok: yes.
        reason: one sentence for a person; why not, or what there is to know anyway.
        value: the episode's directory that it is about, where there is one.
        forced: yes only because it was forced.
    """

    ok: bool
    reason: str = ""
    value: Path | None = None
    forced: bool = False
