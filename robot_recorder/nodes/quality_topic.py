"""Publish the quality report of each episode."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

from rclpy.node import Node
from std_msgs.msg import Header

from robot_recorder.msg import QualityReport as ReportMessage
from robot_recorder.msg import QualityResult
from robot_recorder.nodes.checked_services import make_visible
from robot_recorder.nodes.conversions import to_time
from robot_recorder.nodes.runtime import LATCHED
from robot_recorder.quality.picture_worker import PictureWorker
from robot_recorder.quality.verdict import QualityReport

if TYPE_CHECKING:
    from robot_recorder.recorder.recording import Recording


class QualityTopic:
    """Publishes ``recorder/quality``, latched.

    Attributes:
        pictures: inspects pictures for the checks.
    """

    def __init__(self, node: Node) -> None:
        """Create the publisher and the worker for pictures."""
        self.pictures = PictureWorker()
        self._publisher = node.create_publisher(ReportMessage, "recorder/quality", LATCHED)

    def publish(self, recording: Recording) -> None:
        """Publish the report of a finished episode; any thread may call it."""
        message = _report_message(recording.id, recording.quality, recording.stop_ns)
        self._publisher.publish(make_visible(message))

    def close(self) -> None:
        """Stop the worker for pictures."""
        self.pictures.close()


def _report_message(episode_id: str, report: QualityReport, stop_ns: int) -> Any:
    results = [
        QualityResult(
            check=r.check,
            stream=r.stream,
            level=int(r.level),
            figure=float(r.figure),
            threshold=nan if r.threshold is None else float(r.threshold),
            unit=r.unit,
            sentence=r.sentence,
        )
        for r in report.results
    ]
    return ReportMessage(
        header=Header(stamp=to_time(stop_ns)),
        episode_id=episode_id,
        verdict=int(report.verdict),
        sentence=report.sentence,
        results=results,
        broken=list(report.broken),
    )
