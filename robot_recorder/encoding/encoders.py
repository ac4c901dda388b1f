"""Exchange raw pictures for encoded ones between the ingest and the recorder.

The recorder passes every batch through ``Encoders.exchange``. Raw pictures of encoded streams leave it
there, and come back in a later batch as encoded messages with the same times, in the order of their
stream. Whatever does not come back is a Dropout with the place ENCODER. Nothing waits: a picture for
which there is no room is lost at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from robot_recorder.messages.encoded import encoding_note
from robot_recorder.model.encode_settings import Codec
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.streams import StreamConfig
from robot_recorder.model.topics import Batch, Channel, Sample, by_receipt

if TYPE_CHECKING:  # imported where something is encoded: most recorders encode nothing
    from robot_recorder.encoding.worker import EncoderProcess, EncoderTask

MOST_BYTES = 256_000_000  # of pictures that wait, all processes together
_FLUSH_S = 4.0  # until pictures that are still being encoded are given up
_RECENTLY_S = 5.0  # a stream that lost pictures is reported for so long


@dataclass(frozen=True, eq=False)
class EncodedStream:
    """A stream whose raw pictures are encoded.

    Attributes:
        config: its entry in the profile, as it is received.
        source: channel of the raw pictures.
        channel: channel of the encoded ones, in bags.
    """

    config: StreamConfig
    source: Channel
    channel: Channel


@dataclass
class _Picture:
    """A picture that left a batch and has not come back; ``sample`` has no data yet."""

    number: int
    sample: Sample
    done: bool = False
    lost: bool = False


@dataclass
class _Queue:
    """The pictures of one stream, in order of receipt, and how encoding them goes."""

    stream: EncodedStream
    place: int  # among the tasks
    processes: list[EncoderProcess]  # one only, if the encoder remembers earlier pictures
    pictures: deque[_Picture] = field(default_factory=deque)
    encoders: list[str] = field(default_factory=list)  # names of those that were used
    newest: Sample | None = None  # as it was received
    refused: str = ""  # why the last picture could not be encoded; empty: it could
    overflowed_at: float = float("-inf")  # when a picture last found no room, monotonic, s
    overflows: int = 0  # pictures that found no room, since then and shortly before


class Encoders:
    """Encodes the streams of a recorder. The ingest's thread calls ``exchange``, any thread the rest."""

    def __init__(
        self, streams: Sequence[EncodedStream], max_bytes: int = MOST_BYTES, processes: int = 0
    ) -> None:
        """Create it; ``start`` starts the processes.

        Args:
            streams: to encode; none: batches pass unchanged.
            max_bytes: most bytes of pictures that wait.
            processes: how many; 0: one for each stream, at most half of the machine's processors.
        """
        most = processes or max(1, (os.cpu_count() or 1) // 2)
        count = min(most, len(streams))
        at = [place % count if _is_video(stream) else None for place, stream in enumerate(streams)]
        self._processes = [
            _process(
                [_task(s.config) if one in (None, number) else None for s, one in zip(streams, at)],
                max_bytes // count,
            )
            for number in range(count)
        ]
        self._queues = [
            _Queue(s, place, self._processes if one is None else [self._processes[one]])
            for place, (s, one) in enumerate(zip(streams, at))
        ]
        self._by_source = {queue.stream.source: queue for queue in self._queues}
        self._by_topic = {q.stream.source.topic: q.stream.channel.topic for q in self._queues}
        self._by_number: dict[int, tuple[_Queue, _Picture]] = {}
        self._next = 0
        self._give_up_before = 0
        self._delivered = threading.Condition()  # guards everything below the processes

    def start(self) -> None:
        """Start the processes; they import their libraries meanwhile."""
        for process in self._processes:
            process.start()

    def close(self) -> None:
        """Kill the processes; pictures that come later are lost."""
        with self._delivered:
            for process in self._processes:
                process.close()

    # -- in the ingest's thread

    def exchange(self, batch: Batch) -> Batch:
        """Return a batch with encoded pictures, as many as are done, in place of the raw ones."""
        if not self._queues:
            return batch
        with self._delivered:
            self._mirror()
            if batch.shift_ns:
                self._shift(batch.shift_ns)
            sources = self._by_source
            samples = [s for s in batch.samples if s.channel not in sources]
            for sample in batch.samples if len(samples) < len(batch.samples) else ():
                queue = sources.get(sample.channel)
                if queue is not None:
                    self._take(queue, sample)
            for process in self._processes:
                for number, data, why in process.collect():
                    self._note(number, data, why)
            self._note_encoders()
            dropouts = [self._renamed(loss) for loss in batch.dropouts]
            came = self._come_back(dropouts)
            self._delivered.notify_all()
        if came:
            samples = sorted(samples + came, key=by_receipt)
        return replace(batch, samples=samples, dropouts=dropouts)

    def _mirror(self) -> None:
        """Bring what the ingest knows of the raw topics to the channels of the encoded ones."""
        for queue in self._queues:
            source, channel = queue.stream.source, queue.stream.channel
            channel.numbered, channel.latched = source.numbered, source.latched
            channel.publishers, channel.alive = source.publishers, source.alive
            offered = source.bag_topic.offered_qos
            if channel.bag_topic.offered_qos is not offered:
                channel.bag_topic = replace(channel.bag_topic, offered_qos=offered)

    def _shift(self, by_ns: int) -> None:
        for queue in self._queues:
            for picture in queue.pictures:
                at_ns = picture.sample.receive_ns + by_ns
                picture.sample = picture.sample._replace(receive_ns=at_ns)

    def _take(self, queue: _Queue, sample: Sample) -> None:
        picture = _Picture(self._next, sample._replace(channel=queue.stream.channel, data=b""))
        self._next += 1
        queue.newest = sample
        queue.pictures.append(picture)
        process = min(queue.processes, key=lambda p: (p.pid is None, p.waiting))
        if process.give(picture.number, queue.place, sample.data):
            self._by_number[picture.number] = queue, picture
            return
        picture.done = picture.lost = True
        if len(sample.data) > process.max_bytes:
            most = f"{process.max_bytes / 1e6:.0f} MB are the most"
            queue.refused = f"it has {len(sample.data) / 1e6:.0f} MB, {most}"
        elif process.encoders is not None:  # it is not just starting
            now = time.monotonic()
            recent = now - queue.overflowed_at < _RECENTLY_S
            queue.overflows = 1 + (queue.overflows if recent else 0)
            queue.overflowed_at = now

    def _note(self, number: int, data: bytes | None, why: str) -> None:
        """Take what became of a picture, unless it was given up before."""
        found = self._by_number.pop(number, None)
        if found is None:
            return
        queue, picture = found
        queue.refused = why
        picture.done, picture.lost = True, data is None
        if data is not None:
            picture.sample = picture.sample._replace(data=data)

    def _note_encoders(self) -> None:
        for queue in self._queues:
            for process in queue.processes:
                name = process.encoders[queue.place][0] if process.encoders else ""
                if name and name not in queue.encoders:
                    queue.encoders.append(name)

    def _renamed(self, loss: Dropout) -> Dropout:
        topic = self._by_topic.get(loss.topic)
        return loss if topic is None else replace(loss, topic=topic)

    def _come_back(self, dropouts: list[Dropout]) -> list[Sample]:
        """Return the pictures that are done, each stream in order; append the lost ones."""
        came: list[Sample] = []
        for queue in self._queues:
            pictures, lost = queue.pictures, list[int]()
            while pictures and (pictures[0].done or pictures[0].number < self._give_up_before):
                picture = pictures.popleft()
                if picture.done and not picture.lost:
                    came.append(picture.sample)
                else:
                    self._by_number.pop(picture.number, None)
                    lost.append(picture.sample.receive_ns)
            if lost:
                topic = queue.stream.channel.topic
                # One by one: an episode may begin or end between two of them.
                dropouts += [Dropout(topic, Place.ENCODER, 1, at, at) for at in lost]
        return came

    # -- in any thread

    def flush(self) -> bool:
        """Wait until every picture taken so far has come back; False: some were given up, as lost."""
        if not self._queues:
            return True
        with self._delivered:
            until = self._next
            if self._delivered.wait_for(lambda: self._came_back(until), _FLUSH_S):
                return True
            self._give_up_before = max(self._give_up_before, until)
            self._delivered.wait_for(lambda: self._came_back(until), 1.0)
            return False

    def _came_back(self, until: int) -> bool:
        return all(not q.pictures or q.pictures[0].number >= until for q in self._queues)

    def newest(self) -> list[Sample]:
        """Return the last raw picture of each stream."""
        with self._delivered:
            return [q.newest for q in self._queues if q.newest is not None]

    @property
    def sources(self) -> frozenset[Channel]:
        """Return the channels whose messages are not recorded."""
        return frozenset(self._by_source)

    def problems(self) -> dict[str, str]:
        """Return why pictures are not encoded now, and what to do, by stream."""
        with self._delivered:
            found = {q.stream.config.name: self._problem(q) for q in self._queues}
        return {name: problem for name, problem in found.items() if problem}

    def _problem(self, queue: _Queue) -> str:
        told = [p.encoders[queue.place] for p in queue.processes if p.encoders is not None]
        missing = next((why for _, why in told if why), "")
        if missing:
            return f"{missing}; or change 'encode' in the profile"
        if not told:
            deaths = sum(process.deaths for process in queue.processes)
            died = f" after its process died ({deaths} times so far)" if deaths else ""
            return f"its encoder is starting{died}: try again in a few seconds"
        if queue.refused:
            return f"its last picture was not encoded: {queue.refused}"
        return ""

    def warnings(self) -> list[str]:
        """Return a sentence for each stream that has lost pictures for lack of room."""
        now = time.monotonic()
        with self._delivered:
            late = [q for q in self._queues if now - q.overflowed_at < _RECENTLY_S]
            return [
                f"{q.stream.config.name}: {q.overflows} pictures were lost because too many wait to be "
                "encoded: use jpeg or rvl, which are quicker, smaller pictures or a lower rate"
                for q in late
            ]

    def note(self) -> Mapping[str, str]:
        """Return the custom_data that says what the encoded topics were encoded from."""
        with self._delivered:
            streams = [
                (q.stream.config, q.stream.source.topic, q.stream.channel.topic)
                for q in self._queues
            ]
            return encoding_note(
                streams, {q.stream.config.name: list(q.encoders) for q in self._queues}
            )


def _is_video(stream: EncodedStream) -> bool:
    encode = stream.config.encode
    return encode is not None and encode.codec is Codec.H264


def _process(tasks: Sequence[EncoderTask | None], most_bytes: int) -> EncoderProcess:
    from robot_recorder.encoding.worker import EncoderProcess

    return EncoderProcess(tasks, most_bytes)


def _task(stream: StreamConfig) -> EncoderTask:
    from robot_recorder.encoding.worker import EncoderTask

    assert stream.encode is not None
    return EncoderTask(stream.encode, stream.rate_hz or 0.0)
