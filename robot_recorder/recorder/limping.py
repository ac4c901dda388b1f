"""Streams that go wrong while an episode is recorded: told at once, and once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robot_recorder.model.streams import StreamConfig, StreamHealth
from robot_recorder.recorder.health import HealthReport


class Limping:
    """One episode's."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}  # by stream

    def news(
        self, reports: Iterable[tuple[StreamConfig, HealthReport]], troubles: Mapping[str, str]
    ) -> list[str]:
        """What has gone wrong since this was asked last, one sentence a stream.

        Args:
            reports: every stream's health now.
            troubles: what can be seen to be wrong with its content, by stream.
        """
        wrong = dict(troubles)
        for config, report in reports:
            expected = config.required or report.health is not StreamHealth.NEVER
            if report.health is not StreamHealth.OK and expected:
                wrong[config.name] = report.remedy
        fresh = {name: why for name, why in wrong.items() if name not in self.told}
        self.told |= fresh
        return [f"{name} limps: {why}" for name, why in fresh.items()]
