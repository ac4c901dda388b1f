"""May an episode start? Honest: names every stream that is not there, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from robot_recorder.core.health import HealthReport
from robot_recorder.core.streams import StreamConfig, StreamHealth


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


_WORDS = {
    StreamHealth.NEVER: "never heard",
    StreamHealth.STALE: "silent",
    StreamHealth.SLOW: "too slow",
    StreamHealth.WRONG_TYPE: "of another type",
    StreamHealth.UNHEARD: "not to be heard",
    StreamHealth.CLOCK: "stamped by another clock",
}


def judge_start(
    streams: Iterable[tuple[StreamConfig, HealthReport]], shortage: str, force: bool
) -> Verdict:
    """Refuse while a required stream is not as it should be, or the disk is short; ``force`` only warns.

    Args:
        shortage: what the disk lacks; empty: nothing.
    """
    blocking = [
        f"{config.name} is {_WORDS[report.health]} ({report.remedy})"
        for config, report in streams
        if config.required and report.health is not StreamHealth.OK
    ]
    if shortage:
        blocking.append(shortage)
    if blocking and not force:
        return Verdict(False, "not started: " + "; ".join(blocking) + "; or start with force: true")
    return Verdict(True, "; ".join(blocking), forced=bool(blocking))
