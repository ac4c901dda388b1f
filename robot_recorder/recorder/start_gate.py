"""May an episode start? Honest: names every stream that is not there, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from robot_recorder.model.answers import Answer
from robot_recorder.model.streams import StreamConfig, StreamHealth
from robot_recorder.recorder.health import HealthReport

_WORDS = {
    StreamHealth.NEVER: "never heard",
    StreamHealth.STALE: "silent",
    StreamHealth.SLOW: "too slow",
    StreamHealth.WRONG_TYPE: "of another type",
    StreamHealth.UNHEARD: "not to be heard",
    StreamHealth.CLOCK: "stamped by another clock",
}


def judge_start(
    streams: Iterable[tuple[StreamConfig, HealthReport]],
    shortage: str,
    force: bool,
    foreseen: Iterable[str] = (),
) -> Answer:
    """Refuse while a required stream is not as it should be, the disk is short, or the episode is sure to be
    rejected; ``force`` only warns.

    Args:
        foreseen: checks that the last messages fail already, in words.
        shortage: what the disk lacks; empty: nothing.
    """
    blocking = [
        f"{config.name} is {_WORDS.get(report.health, 'too fast')} ({report.remedy})"
        for config, report in streams
        if _blocks(config, report)
    ]
    blocking += [f"its verdict would be reject: {sentence}" for sentence in foreseen]
    if shortage:
        blocking.append(shortage)
    if blocking and not force:
        return Answer(False, "not started: " + "; ".join(blocking) + "; or start with force: true")
    return Answer(True, "; ".join(blocking), forced=bool(blocking))


def _blocks(config: StreamConfig, report: HealthReport) -> bool:
    """A required stream has to be there; any that is there must not make the episode fail a check for certain."""
    needed = config.required and report.health not in (StreamHealth.OK, StreamHealth.SLOW)
    return needed or bool(report.fails)
