"""An expected yes or no, with its reason and what it is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """An expected yes or no.

    Attributes:
        ok: yes.
        reason: one sentence for a person; why not, or what there is to know anyway.
        forced: yes only because it was forced.
    """

    ok: bool
    reason: str = ""
    forced: bool = False
