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
}
_BLOCKING = (StreamHealth.NEVER, StreamHealth.STALE, StreamHealth.WRONG_TYPE)


def judge_start(streams: Iterable[tuple[StreamConfig, HealthReport]], force: bool) -> Verdict:
    """Refuse while a required stream is missing; a slow one, or ``force``, only warns."""
    blocking: list[str] = []
    warnings: list[str] = []
    for config, report in streams:
        if report.health is StreamHealth.OK or not config.required:
            continue
        sentence = f"{config.name} is {_WORDS[report.health]} ({report.remedy})"
        (blocking if report.health in _BLOCKING else warnings).append(sentence)
    if blocking and not force:
        return Verdict(False, "not started: " + "; ".join(blocking) + "; or start with force: true")
    return Verdict(True, "; ".join(blocking + warnings), forced=bool(blocking))
