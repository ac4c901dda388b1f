"""Report streams that go wrong while an episode is recorded: at once, and only once each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robot_recorder.model.streams import StreamConfig, StreamHealth
from robot_recorder.recorder.health import HealthReport


class Limping:
    """The streams that have gone wrong in one episode."""

    def __init__(self) -> None:
        """Start without reports."""
        self.reported: dict[str, str] = {}  # reason by stream

    def news(
        self, reports: Iterable[tuple[StreamConfig, HealthReport]], troubles: Mapping[str, str]
    ) -> list[str]:
        """Return one sentence for each stream that has gone wrong since the last call.

        Args:
            reports: health of every stream now.
            troubles: problems with the content, by stream.
        """
        wrong = dict(troubles)
        for config, report in reports:
            expected = config.required or report.health is not StreamHealth.NEVER
            if report.health is not StreamHealth.OK and expected:
                wrong[config.name] = report.remedy
        fresh = {name: why for name, why in wrong.items() if name not in self.reported}
        self.reported |= fresh
        return [f"{name} limps: {why}" for name, why in fresh.items()]
