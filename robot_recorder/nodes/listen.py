"""Listen to all topics of a robot, and pass their messages on to the program that asked.

``robot-recorder profile`` starts it: the command line itself needs no ROS, and must not wait for it.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from typing import Any

from rclpy.node import Node

from robot_recorder.messages.installed_types import readable_definition
from robot_recorder.messages.kinds import Sort, sort_of
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.heard import FoundTopic, HeardMessage, Listening, packed
from robot_recorder.model.topics import Batch, Channel
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.runtime import parameter, run

_STABLE_S = 1.0  # topics are complete when no new one appears for this long
_LEAST_S, _MOST_S = 2.0, 8.0
_LOOK_S = 0.1
_PICTURE_BYTES = 512  # of pictures only the header is of interest
_IGNORED = ("/rosout", "/parameter_events")


class Listener:
    """Passes on what an ingest hears.

    Attributes:
        failed: whether the ingest failed.
    """

    def __init__(self, node: Node, output: int) -> None:
        """Find the topics and subscribe to them.

        Args:
            node: finds topics.
            output: file that everything is written to.
        """
        text = "namespace whose topics are listened to; empty: all"
        self._only = parameter(node, "only", "", text)
        self._output = output
        self._numbers: dict[Channel, tuple[int, bool]] = {}
        self._ingest = Ingest("profile_listener_ingest")
        for number, (name, types) in enumerate(sorted(self._topics(node).items())):
            self._write(packed(self._subscribed(number, name, types)))
        self._write(packed(Listening()))
        self._ingest.add_sink(self._on_batch)
        self._ingest.start()

    @property
    def failed(self) -> bool:
        """Return whether the ingest has failed."""
        return self._ingest.failed

    def close(self) -> None:
        """Pass on everything that was received."""
        self._ingest.close()

    def _topics(self, node: Node) -> dict[str, list[str]]:
        """Return the types of all topics with publishers, once no new one appears."""
        found: dict[str, list[str]] = {}
        began = changed = time.monotonic()
        while (now := time.monotonic()) < began + _MOST_S:
            if found and now > max(changed, began + _LEAST_S) + _STABLE_S:
                break
            time.sleep(_LOOK_S)
            known = len(found)
            for name, types in node.get_topic_names_and_types():
                if name in found or name.endswith(_IGNORED) or "/_" in name:
                    continue
                inside = not self._only.strip("/") or name.startswith(f"/{self._only.strip('/')}/")
                if inside and node.count_publishers(name):
                    found[name] = types
            if len(found) > known:
                changed = time.monotonic()
        return found

    def _subscribed(self, number: int, name: str, types: list[str]) -> FoundTopic:
        """Subscribe to a topic."""
        type_name, problem, definition = types[0], "", ""
        if len(types) > 1:
            problem = f"it is published with several types: {', '.join(types)}"
        else:
            try:
                definition = readable_definition(type_name)
                channel = self._ingest.subscribe(name, type_name)
                large = sort_of(type_name) in (Sort.IMAGE, Sort.POINTS)
                self._numbers[channel] = number, large
            except ConfigError as error:
                problem = str(error)
        return FoundTopic(number, name, type_name, definition, False, problem)

    def _on_batch(self, batch: Batch) -> None:
        parts = []
        for sample in batch.samples:
            number, large = self._numbers[sample.channel]
            data = sample.data[:_PICTURE_BYTES] if large else sample.data
            parts.append(packed(HeardMessage(number, data, sample.receive_ns, sample.send_ns)))
        if parts:
            self._write(b"".join(parts))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._output, view) :]
            except OSError:  # whoever asked is gone
                os._exit(0)


def _end_with_input() -> None:
    """End the process when standard input is closed: whoever started it is gone."""
    while True:
        select.select([0], [], [])
        if not os.read(0, 64):
            os._exit(0)


def main() -> int:
    """Run the program; return the exit code."""
    # Everything else that is printed must not come between the messages.
    output = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=_end_with_input, name="input", daemon=True).start()

    def build() -> tuple[list[Node], list[Any]]:
        import rclpy

        node = rclpy.create_node("profile_listener", enable_rosout=False)
        listener = Listener(node, output)
        return [node], [listener]

    return run(build)


if __name__ == "__main__":
    sys.exit(main())
