"""Decide whether an episode may start; name every stream that blocks it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable

from robot_recorder.model.answers import Answer
from robot_recorder.model.streams import StreamConfig, StreamHealth
from robot_recorder.model.text import alike, listed
from robot_recorder.recorder.health import HealthReport

_BEGIN, _END = "not started: ", "; or start with force: true"
_ASIDE = re.compile(r" ?\([^()]*\)")
_WORDS = {
    StreamHealth.NEVER: "missing",
    StreamHealth.STALE: "silent",
    StreamHealth.SLOW: "too slow",
    StreamHealth.WRONG_TYPE: "of another type",
    StreamHealth.UNHEARD: "published with an incompatible QoS",
    StreamHealth.CLOCK: "stamped by another clock",
    StreamHealth.STILL: "still",
    StreamHealth.NOT_ENCODED: "not encoded",
}


def judge_start(
    streams: Iterable[tuple[StreamConfig, HealthReport]],
    shortage: str,
    force: bool,
    foreseen: Iterable[str] = (),
    causes: Iterable[str] = (),
) -> Answer:
    """Refuse a start if a required stream has a problem, the disk is short, or rejection is certain.

    Args:
        streams: streams with their health.
        shortage: what the disk lacks; empty: nothing.
        force: allow the start, and return the problems as a warning.
        foreseen: sentences of checks that the last messages fail already.
        causes: sentences that block nothing, but may be why something does; told in a refusal only.
    """
    blocking = _troubles([(c, r) for c, r in streams if _blocks(c, r)])
    blocking += [f"its verdict would be reject: {sentence}" for sentence in foreseen]
    if shortage:
        blocking.append(shortage)
    if blocking and not force:
        reasons = "; ".join([*blocking, *causes])
        return Answer(False, f"{_BEGIN}{reasons}{_END}")
    return Answer(True, "; ".join(blocking), forced=bool(blocking))


def in_brief(reason: str) -> str:
    """Return why a start was refused as it is said aloud: what is wrong, but not what to do, which is shown."""
    brief = reason.removeprefix(_BEGIN).removesuffix(_END)
    while brief != (shorter := _ASIDE.sub("", brief)):
        brief = shorter
    return brief


def _troubles(blocking: list[tuple[StreamConfig, HealthReport]]) -> list[str]:
    """Say what is wrong with streams; with several alike, as of a driver that is off, once for all."""
    reasons = (
        (config.name, config.topic, f"{_WORDS.get(report.health, 'too fast')} ({report.remedy})")
        for config, report in blocking
    )
    return [
        f"{name} is {why}"
        + (f", and so {'are' if others[1:] else 'is'} {listed(others)}" if others else "")
        for name, why, others in alike(reasons)
    ]


def _blocks(config: StreamConfig, report: HealthReport) -> bool:
    """Return whether a stream blocks a start: required and missing, or certain to fail a check."""
    needed = config.required and report.health not in (StreamHealth.OK, StreamHealth.SLOW)
    return needed or bool(report.fails)
