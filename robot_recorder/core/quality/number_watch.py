"""One stream of numbers: its messages decoded, its checks told, its trace kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot_recorder.core.arrays import Int64s
from robot_recorder.core.decoder import Decoder, Messages, StreamCounts
from robot_recorder.core.decoding import Decoded
from robot_recorder.core.quality.check import Check, ValueCheck
from robot_recorder.core.quality.joints import Undecodable
from robot_recorder.core.quality.values import Trace, Values
from robot_recorder.core.streams import StreamConfig
from robot_recorder.core.value_names import joint_of

JOINTS = "sensor_msgs/msg/JointState"
TACTILE = "robot_recorder/msg/TactileArray"

_NARROW = 32  # columns


class NumberWatch:
    """One numeric stream: decodes its messages at once, tells its checks, keeps its trace."""

    def __init__(
        self,
        stream: StreamConfig,
        decode: Callable[[bytes], Decoded],
        checks: list[Check],
        undecodable: list[Check],
    ) -> None:
        """
        Args:
            checks: of its values.
            undecodable: of what has none.
        """
        self.stream = stream
        self.trace = Trace()
        self._counts = StreamCounts()
        self._decoder = Decoder(decode, (), self._counts)
        self._checks = [c for c in checks if isinstance(c, ValueCheck)]
        self._undecodable = [c for c in undecodable if isinstance(c, Undecodable)]

    @property
    def others(self) -> int:
        """Messages that could be read, and are laid out in another way."""
        return self._counts.mismatched

    def add(self, times: Int64s, receives: Int64s, messages: Sequence[bytes]) -> None:
        """Take messages in order of receipt.

        Args:
            times, receives: int64[n], ns, robot clock.
        """
        values = self._decode(times, receives, messages)
        for undecodable in self._undecodable:
            undecodable.messages += len(messages)
            undecodable.bad = self._counts.undecodable
        if values is None:
            return
        for check in self._checks:
            check.add(values)
        self._trace(values)

    def _decode(self, times: Int64s, receives: Int64s, messages: Sequence[bytes]) -> Values | None:
        done, rows = self._decoder.all(Messages(messages))
        if not len(done):
            return None
        # Checks work along columns; where there are few, those should lie in one piece.
        rows = np.asfortranarray(rows) if rows.shape[1] <= _NARROW else rows
        if len(done) < len(times):
            times, receives = times[done], receives[done]
        return Values(times, receives, rows, self._decoder.names or ())

    def _trace(self, values: Values) -> None:
        prefix = "normal/" if self.stream.type == TACTILE else "position/"
        columns = values.columns(prefix) if self.stream.type in (JOINTS, TACTILE) else ()
        if not len(columns):
            return
        rows = values.rows[:, columns]
        if self.stream.type == TACTILE:
            self.trace.names = (f"normal {values.names[0].rpartition(' ')[2]}",)
            rows = rows.sum(axis=1, keepdims=True)
        elif not self.trace.names:
            self.trace.names = tuple(joint_of(values.names[c]) for c in columns)
        self.trace.add(values.times, rows)
