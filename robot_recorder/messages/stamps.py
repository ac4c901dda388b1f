"""Read the timestamps of a stream: from headers, a field, DDS or the receipt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from robot_recorder.messages.cdr import HEAD, header_stamp_ns, header_stamps, header_stamps_ns
from robot_recorder.messages.definition import (
    PRIMITIVES,
    MessageTypes,
    is_time,
    parse_definition,
    short_name,
)
from robot_recorder.messages.kinds import kind_of
from robot_recorder.messages.mapped import (
    Arrangement,
    StructureCache,
    reached_type,
    read_arrangement,
)
from robot_recorder.messages.places import START, Leaf, Walker
from robot_recorder.model.arrays import Bools, Bytes, Int64s
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.mapping import StampRule, StampSource
from robot_recorder.model.payloads import Payloads
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S, SourceClockKind, StreamConfig

# A source stamp agrees with the receipt if the message took this long: clocks of two machines that
# nobody synchronised differ by more, or say that it came before it was sent.
_MOST_DELAY_NS, _MOST_AHEAD_NS = NS_PER_S, NS_PER_MS
Times = Sequence[int] | Int64s
HEADER, SOURCE, RECEIPT = "header", "DDS source stamp", "receipt"
_BOUNDED = {"u1": 8, "u2": 16, "u4": 32}


class StampReader:
    """Reader of one stream's timestamps.

    Attributes:
        text: where they come from, for people.
        has_header: whether stamps are read from headers.
        used: number of samples by where their stamp came from.
    """

    def __init__(self, stream: StreamConfig, has_header: bool, definition: str = "") -> None:
        """
        Args:
            stream: the stream; its ``stamp`` says where stamps come from.
            has_header: whether its messages begin with a std_msgs/Header.
            definition: of its type, needed for stamps in a field.

        Raises:
            ConfigError: the type has no such field or header, or the clock is a device's and
                messages carry no stamp of it.
        """
        rule = stream.stamp
        usual = kind_of(stream).stamp
        if rule.source is StampSource.AUTO and usual is not None and definition:
            rule = usual
        self._rule = rule
        self._device = stream.clock is SourceClockKind.DEVICE
        self.has_header = has_header and rule.source in (StampSource.AUTO, StampSource.HEADER)
        # Another clock than the device's would not help to know the device's.
        mixed = self._device and self.has_header
        self._source = rule.source in (StampSource.AUTO, StampSource.SOURCE) and not mixed
        self.used: Counter[str] = Counter()
        self._field: _FieldStamps | None = None
        if rule.path is not None:
            types = parse_definition(stream.type, definition)
            self._field = _FieldStamps(rule, stream.type, types)
        if rule.source is StampSource.HEADER and not has_header:
            raise ConfigError(f"stream '{stream.name}': {stream.type} has no header to stamp it")
        if self._device and not (
            self.has_header or self._field or rule.source is StampSource.SOURCE
        ):
            raise ConfigError(
                f"stream '{stream.name}': 'clock: device' needs stamps of the device: {stream.type} "
                "has no header; name its field with 'stamp: {field: ..., unit: ms}', say "
                "'stamp: source' if DDS stamps it on the device, or remove 'clock: device'"
            )
        self.text = rule.path.text if rule.path else HEADER if self.has_header else (
            SOURCE if self._source else RECEIPT)  # fmt: skip

    def one(self, data: bytes, send_ns: int, receive_ns: int) -> int:
        """Return the stamp of a message, ns, source clock; 0: it has none."""
        if self._field is not None:
            return self._field.one(data, receive_ns)
        if self.has_header and len(data) >= HEAD and (stamp_ns := header_stamp_ns(data)):
            return stamp_ns
        if not self._source:
            return 0
        if self._device:
            return send_ns
        return send_ns if _agrees(receive_ns - send_ns) else 0

    def read(
        self,
        payloads: Payloads,
        sends: Times,
        receives: Times,
        heads: Bytes | None = None,
    ) -> Int64s:
        """Return the stamps of messages, int64[n], ns, source clock; 0: none.

        Args:
            payloads: n messages.
            sends: n times, ns: when DDS says that they were sent; as ``receives`` if unknown.
            receives: n times, ns.
            heads: uint8[n, 12], their first bytes; None: taken from the messages.
        """
        if self._field is not None:
            stamps = self._field.many(payloads, np.asarray(receives))
            self.used[self.text] += int((stamps != 0).sum())
            self.used[RECEIPT] += int((stamps == 0).sum())
            return stamps
        stamps = np.zeros(len(receives), dtype=np.int64)
        if self.has_header:
            if heads is not None:
                stamps = header_stamps_ns(heads)
            else:
                every = payloads if isinstance(payloads, list) else None
                stamps = header_stamps(every or [payloads[n] for n in range(len(payloads))])
            without = stamps == 0
            self.used[HEADER] += int(len(stamps) - without.sum())
            if not without.any():
                return stamps
        return self._read_others(stamps, np.asarray(sends), np.asarray(receives))

    def _read_others(self, stamps: Int64s, sends: Int64s, receives: Int64s) -> Int64s:
        """Fill in the stamps of messages without one in their header."""
        without = stamps == 0
        if self._source:
            known = without & ((sends != 0) if self._device else _agrees(receives - sends))
            stamps = np.where(known, sends, stamps)
            self.used[SOURCE] += int(known.sum())
            without &= ~known
        self.used[RECEIPT] += int(without.sum())
        return stamps


def _agrees(late_ns: int | Int64s) -> bool | Bools:
    """Return whether a send time agrees with the receipt; as it, it says nothing.

    Args:
        late_ns: receipt minus send time, ns, one or int64[n].
    """
    agrees: bool | Bools = (
        (late_ns >= -_MOST_AHEAD_NS) & (late_ns <= _MOST_DELAY_NS) & (late_ns != 0)
    )
    return agrees


class _FieldStamps:
    """Stamps in a named field, which may begin at 0 again after some bits."""

    def __init__(self, rule: StampRule, type_name: str, types: MessageTypes) -> None:
        assert rule.path is not None
        self._rule, self._path = rule, rule.path
        self._type, self._types = short_name(type_name), types
        if problem := types.problem(self._type):
            raise ConfigError(f"{type_name}: {problem}, so its stamps cannot be read")
        reached = reached_type(rule.path, self._type, types)
        if reached not in PRIMITIVES and not is_time(reached, types):
            raise ConfigError(f"'{rule.path.text}' is a {reached}, not a time or a number")
        if reached in PRIMITIVES and not rule.unit_ns:
            raise ConfigError(f"'{rule.path.text}' is a {reached}: give its unit: s, ms, us or ns")
        kind = PRIMITIVES[reached][0] if reached in PRIMITIVES else ""
        self._bits = rule.bits or _BOUNDED.get(kind, 0)
        self._cache = StructureCache(self._arranged)

    def _arranged(self, data: bytes) -> Arrangement:
        walker = Walker(self._types, data)
        leaves = walker.leaves(self._path, Leaf(self._type, START))
        if not leaves:
            raise DecodeError(f"'{self._path.text}' is absent")
        return read_arrangement(walker, list(walker.numbers(leaves[0])))

    def one(self, data: bytes, receive_ns: int) -> int:
        """Return the stamp of a message, ns; 0: it has none."""
        try:
            arrangement = self._cache.of(data)
        except DecodeError:
            return 0  # the checks report messages that cannot be read
        numbers = [
            np.ndarray(span.length, span.kind, data, span.start, (span.stride,)).tolist()
            for span in arrangement.spans
        ]
        return self._stamp([n for part in numbers for n in part], receive_ns)

    def many(self, payloads: Payloads, receives: Int64s) -> Int64s:
        """Return the stamps of messages, int64[n], ns; 0: none."""
        messages = [payloads[n] for n in range(len(payloads))]
        numbers, every = self._alike(messages), receives.tolist()
        if numbers is not None:
            stamps = [self._stamp([one], receive_ns) for one, receive_ns in zip(numbers, every)]
        else:
            stamps = [self.one(data, receive_ns) for data, receive_ns in zip(messages, every)]
        return np.array(stamps, dtype=np.int64)

    def _alike(self, messages: list[bytes]) -> list[float] | None:
        """Return the number at a fixed place of all messages; None: it is not that simple."""
        try:
            arrangement = self._cache.of(messages[0])
        except (DecodeError, IndexError):
            return None
        (start, length, kind, _), *others = arrangement.spans
        if others or length > 1 or len(arrangement.ranges) > 1:
            return None  # the place may be another one in the next message
        head, end = messages[0][:2], start + kind.itemsize
        found = [data[start:end] for data in messages if data.startswith(head)]
        whole = b"".join(found)
        if len(found) < len(messages) or len(whole) != kind.itemsize * len(found):
            return None
        numbers: list[float] = np.frombuffer(whole, kind).tolist()
        return numbers

    def _stamp(self, numbers: list[float], receive_ns: int) -> int:
        if not self._rule.unit_ns:
            return int(numbers[0]) * NS_PER_S + int(numbers[1])
        value, unit_ns = numbers[0], self._rule.unit_ns
        if not abs(value) * unit_ns < 1 << 62:  # also NaN
            return 0
        stamp_ns = round(value * unit_ns)
        if self._bits:
            # The turn of the counter that is nearest to the receipt: no state, so that a live run
            # and a later one agree.
            turn_ns = unit_ns << self._bits
            stamp_ns = receive_ns + (stamp_ns - receive_ns + turn_ns // 2) % turn_ns - turn_ns // 2
        return stamp_ns


class LazyStamps:
    """Stamps of messages that are read on demand, ns; 0: none."""

    def __init__(
        self, reader: StampReader, payloads: list[bytes], sends: Int64s, receives: Int64s
    ) -> None:
        """Wrap messages with times, int64[n], ns; nothing is read yet."""
        self.reader = reader
        self.payloads, self.sends, self.receives = payloads, sends, receives

    def __len__(self) -> int:
        return len(self.payloads)

    def __getitem__(self, place: int) -> int:
        sent_ns, received_ns = int(self.sends[place]), int(self.receives[place])
        return self.reader.one(self.payloads[place], sent_ns, received_ns)

    @staticmethod
    def joined(parts: Sequence[LazyStamps]) -> Int64s:
        """Return all timestamps of several lists, int64[n]; reading many at once is faster."""
        first = parts[0]
        if len(parts) == 1:
            return first.reader.read(first.payloads, first.sends, first.receives)
        payloads = [data for part in parts for data in part.payloads]
        sends = np.concatenate([part.sends for part in parts])
        receives = np.concatenate([part.receives for part in parts])
        return first.reader.read(payloads, sends, receives)


def stamp_text(declared: str, used: Counter[str]) -> str:
    """Say where the stamps of some samples came from.

    Args:
        declared: where they should come from.
        used: number of samples by where they came from.
    """
    total = sum(used.values())
    if declared == SOURCE and not used[SOURCE]:
        return RECEIPT  # nothing is wrong with messages that are older than the recorder
    others = {source: count for source, count in used.items() if count and source != declared}
    if not others:
        return declared
    if len(others) == 1 and declared not in +used:
        return f"{next(iter(others))}: its {declared} is 0"
    found = ", ".join(f"{source} of {count}" for source, count in others.items())
    return f"{declared}; {found} of {total} samples"
