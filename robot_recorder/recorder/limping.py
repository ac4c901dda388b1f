"""Report streams that go wrong while an episode is recorded: at once, and only once each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robot_recorder.model.streams import StreamConfig, StreamHealth
from robot_recorder.model.text import alike, listed
from robot_recorder.recorder.health import HealthReport


class Limping:
    """The streams that have gone wrong in one episode."""

    def __init__(self) -> None:
        """Start without reports."""
        self.reported: dict[str, str] = {}  # reason by stream

    def news(
        self, reports: Iterable[tuple[StreamConfig, HealthReport]], troubles: Mapping[str, str]
    ) -> list[str]:
        """Return a sentence for each stream that has gone wrong since the last call; one for all that did alike.

        Args:
            reports: health of every stream now.
            troubles: problems with the content, by stream.
        """
        wrong, topics = dict(troubles), {}
        for config, report in reports:
            topics[config.name] = config.topic
            expected = config.required or report.health is not StreamHealth.NEVER
            if report.health is not StreamHealth.OK and expected:
                wrong[config.name] = report.remedy
        fresh = {name: why for name, why in wrong.items() if name not in self.reported}
        self.reported |= fresh
        reasons = ((name, topics.get(name, ""), why) for name, why in fresh.items())
        return [
            f"{name} limps: {why}"
            + (f"; so {'do' if others[1:] else 'does'} {listed(others)}" if others else "")
            for name, why, others in alike(reasons)
        ]
