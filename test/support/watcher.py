"""Subscribes to ``scene/markers`` like RViz."""

from __future__ import annotations

from collections.abc import Callable

from visualization_msgs.msg import Marker, MarkerArray

from robot_recorder.rviz.text import BLANK, LONGEST
from support.robot import RecorderClient


class Watcher:
    """What a viewer shows: markers that were added and not deleted, by namespace and id."""

    def __init__(self, bench: RecorderClient) -> None:
        self.markers: dict[tuple[str, int], Marker] = {}
        self.arrays = 0
        self._node = bench.node
        self._subscription = self._node.create_subscription(
            MarkerArray, "scene/markers", self._take, 10
        )

    def close(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _take(self, array: MarkerArray) -> None:
        self.arrays += 1
        for marker in array.markers:
            key = (marker.ns, marker.id)
            if marker.action == Marker.ADD:
                self.markers[key] = marker
                _check_text(marker)
            elif marker.action == Marker.DELETE:
                self.markers.pop(key, None)
            else:
                self.markers.clear()

    def of(self, kind: str) -> list[Marker]:
        """Return the markers of a namespace, sorted by id."""
        return [marker for (ns, _), marker in sorted(self.markers.items()) if ns == kind]

    def frames(self) -> set[str]:
        """Return the frames of all markers."""
        return {marker.header.frame_id for marker in self.markers.values()}

    def texts(self, kind: str = "episode") -> list[str]:
        """Return the texts from top to bottom."""
        return [marker.text for marker in self.of(kind) if marker.text]

    def says(self, part: str, kind: str = "episode") -> Callable[[], bool]:
        """Return a condition: whether a text contains a part."""
        return lambda: any(part in text for text in self.texts(kind))


def _check_text(marker: Marker) -> None:
    """Check that rviz draws a text as it is, with blanks of the width of its font's."""
    if marker.type == Marker.TEXT_VIEW_FACING:
        text = marker.text
        assert text.strip() and text.isascii() and text.isprintable() and len(text) <= LONGEST, text
        assert marker.scale.x == BLANK * marker.scale.z > 0


def colour(marker: Marker) -> tuple[float, float, float]:
    """Return red, green and blue."""
    return marker.color.r, marker.color.g, marker.color.b
