"""Raw pictures leave a batch and come back encoded, in order; those that do not are counted as lost.

Holds also: worker.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from support.pictures import raw

from robot_recorder.encoding import encoders as encoders_module
from robot_recorder.encoding import worker
from robot_recorder.encoding.encoders import EncodedStream, Encoders
from robot_recorder.messages.cdr import header_stamp_ns
from robot_recorder.messages.encoded import recorded_stream
from robot_recorder.messages.image_messages import RAW, encoded_picture
from robot_recorder.messages.video_messages import VIDEO, video_packet
from robot_recorder.model.encode_settings import Codec, EncodeSettings
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.streams import Role, StreamConfig
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample
from robot_recorder.quality.video_decoder import VideoDecoder

MS = 1_000_000
OTHER = Channel(BagTopic("/joints", "sensor_msgs/msg/JointState"))


def stream(name: str, codec: Codec = Codec.RVL, **settings: object) -> EncodedStream:
    encode = EncodeSettings(codec, **settings)  # type: ignore[arg-type]
    config = StreamConfig(name, f"/{name}", RAW, Role.OBSERVATION, 30.0, encode=encode)
    recorded = recorded_stream(config)
    channels = (Channel(BagTopic(s.topic, s.type)) for s in (config, recorded))
    return EncodedStream(config, *channels)


def halted(found: Line) -> int:
    """Halt the only process; return its id."""
    (pid,) = found.pids()
    os.kill(pid, signal.SIGSTOP)
    return pid


def picture(number: int, size: int = 16, encoding: str = "16UC1") -> bytes:
    """Return depths that are all the picture's number."""
    return raw(np.full((size, size, 1), number, "u2"), encoding, stamp_ns=number)


@dataclass
class Line:
    """Encoders that a test feeds like the ingest, and what comes out of them."""

    encoders: Encoders
    streams: list[EncodedStream]
    sent: int = 0
    came: list[Sample] = field(default_factory=list)
    losses: list[Dropout] = field(default_factory=list)

    def give(self, *samples: Sample) -> Batch:
        self.sent += sum(s.channel is not OTHER for s in samples)
        found = self.encoders.exchange(Batch(list(samples)))
        assert not {s.channel for s in found.samples} & self.encoders.sources, "a raw picture"
        times = [s.receive_ns for s in found.samples]
        assert times == sorted(times)
        self.came += [s for s in found.samples if s.channel is not OTHER]
        self.losses += found.dropouts
        return found

    def picture(self, number: int, place: int = 0, **kind: object) -> Batch:
        data = picture(number, **kind)  # type: ignore[arg-type]
        source = self.streams[place].source
        return self.give(Sample(source, data, number * MS, number * MS - 5, b"driver"))

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.encoders.problems(), self.lost, len(self.came))
            self.give()
            time.sleep(0.005)

    def settle(self) -> None:
        self.until(lambda: self.lost + len(self.came) == self.sent)

    @property
    def lost(self) -> int:
        return sum(loss.count or 0 for loss in self.losses)

    def numbers(self, place: int = 0) -> list[int]:
        """Return the numbers of the pictures that came back, of one stream."""
        channel = self.streams[place].channel
        found = [s for s in self.came if s.channel is channel]
        for sample in found:
            number = header_stamp_ns(sample.data)
            assert (sample.receive_ns, sample.send_ns) == (number * MS, number * MS - 5)
            assert sample.publisher == b"driver"
            assert (encoded_picture(sample.data).rvl_values() == number).all()
        return [header_stamp_ns(s.data) for s in found]

    def pids(self) -> list[int]:
        return [p.pid for p in self.encoders._processes if p.pid is not None]


@pytest.fixture
def line() -> Iterator[Callable[..., Line]]:
    """Return a function that starts encoders and waits until they are ready."""
    started: list[Line] = []

    def start(*streams: EncodedStream, max_bytes: int = 10**8, processes: int = 1) -> Line:
        found = Line(Encoders(streams, max_bytes, processes), list(streams))
        started.append(found)
        found.encoders.start()
        return found

    yield start
    for one in started:
        one.encoders.close()


def ready(line: Line) -> bool:
    return all("starting" not in problem for problem in line.encoders.problems().values())


def test_pictures_come_back_in_order_and_all_else_passes_at_once(
    line: Callable[..., Line],
) -> None:
    found = line(stream("left"), stream("right"), processes=2)
    assert "its encoder is starting" in found.encoders.problems()["left"]
    for number in range(1, 60):
        other = Sample(OTHER, b"joints", number * MS, number * MS)
        data = picture(number)
        left, right = (
            Sample(s.source, data, number * MS, number * MS - 5, b"driver") for s in found.streams
        )
        batch = found.give(left, other, right)
        assert other in batch.samples
        time.sleep(0.001)
    found.settle()
    assert found.numbers(0) == found.numbers(1) == list(range(1, 60)) and not found.losses
    assert found.encoders.problems() == {} and found.encoders.warnings() == []
    assert '"encoders": ["RVL"]' in found.encoders.note()["encoded"]
    assert [s.data for s in found.encoders.newest()] == [picture(59)] * 2


def test_a_picture_that_cannot_be_encoded_is_lost_and_named(line: Callable[..., Line]) -> None:
    found = line(stream("depth"))
    for number in range(1, 30):
        found.picture(number, encoding="mono8" if number % 10 == 0 else "16UC1")
    found.picture(30, encoding="odd8")
    found.settle()
    assert found.numbers() == [n for n in range(1, 30) if n % 10]
    assert {(x.topic, x.place) for x in found.losses} == {("/depth/compressedDepth", Place.ENCODER)}
    assert found.lost == 3
    problem = found.encoders.problems()["depth"]
    assert problem == (
        "its last picture was not encoded: pictures of encoding 'odd8' are not supported"
    )
    found.picture(31)
    found.settle()
    assert found.encoders.problems() == {}


def test_what_a_killed_process_held_is_lost_and_it_goes_on(line: Callable[..., Line]) -> None:
    found = line(stream("depth"))
    found.until(lambda: ready(found))
    pid = halted(found)
    for number in range(1, 8):
        found.picture(number)
    os.kill(pid, signal.SIGKILL)
    found.settle()
    assert found.lost == 7 and found.numbers() == []
    assert [(x.start_ns, x.end_ns) for x in found.losses] == [(n * MS, n * MS) for n in range(1, 8)]
    assert "after its process died (1 times so far)" in found.encoders.problems()["depth"]
    found.until(lambda: ready(found))
    for number in range(10, 20):
        found.picture(number)
    found.settle()
    assert found.numbers() == list(range(10, 20)) and found.lost == 7
    assert found.encoders.problems() == {}


def test_a_stuck_process_is_replaced(
    line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = line(stream("depth"))
    found.until(lambda: ready(found))
    monkeypatch.setattr(worker, "_STUCK_S", 0.3)
    pid = halted(found)
    found.picture(1)
    found.settle()
    monkeypatch.undo()
    assert found.lost == 1
    found.picture(2)
    found.settle()
    assert found.numbers() == [2] and found.pids() != [pid]


def test_pictures_without_room_are_lost_at_once(line: Callable[..., Line]) -> None:
    size = len(picture(1, size=100))
    found = line(stream("depth"), max_bytes=5 * size)
    found.until(lambda: ready(found))
    pid = halted(found)
    for number in range(1, 12):
        found.picture(number, size=100)
    assert not found.losses, "they come back in order, so the lost ones wait for those before"
    os.kill(pid, signal.SIGCONT)
    found.settle()
    assert found.numbers() == [1, 2, 3, 4, 5] and found.lost == 6
    (warning,) = found.encoders.warnings()
    assert warning.startswith(
        "depth: 6 pictures were lost because too many wait to be encoded: use"
    )
    found.picture(12, size=300)
    found.settle()
    assert found.encoders.problems()["depth"].endswith("it has 0 MB, 0 MB are the most")


def test_flush_waits_for_pictures_and_gives_up_the_stuck_ones(
    line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = line(stream("depth"))
    assert found.encoders.flush(), "nothing is encoded"
    for number in range(1, 30):
        found.picture(number)
    assert flushed(found) and len(found.came) == 29

    pid = halted(found)
    monkeypatch.setattr(encoders_module, "_FLUSH_S", 0.2)
    for number in range(30, 34):
        found.picture(number)
    assert not flushed(found) and found.lost == 4
    os.kill(pid, signal.SIGCONT)
    found.picture(40)
    found.settle()
    assert found.numbers()[-1] == 40 and found.lost == 4, "given up, so they do not come back"


def flushed(line: Line) -> bool:
    """Call ``flush`` while batches keep coming, as from the ingest."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(line.encoders.flush()))
    thread.start()
    line.until(lambda: not thread.is_alive())
    return answers[0]


def test_what_is_known_of_a_raw_topic_holds_for_the_encoded_one(
    line: Callable[..., Line],
) -> None:
    found = line(stream("depth"))
    source, channel = found.streams[0].source, found.streams[0].channel
    offered = (OfferedQos(durability="volatile"),)
    source.numbered, source.latched, source.publishers = True, True, 2
    source.bag_topic = BagTopic("/depth", RAW, offered)
    lost = Dropout("/depth", Place.DDS, 3, 1, 2)
    batch = found.encoders.exchange(Batch([], [lost, Dropout("/joints", Place.DDS, 1, 1, 2)]))
    assert [d.topic for d in batch.dropouts] == ["/depth/compressedDepth", "/joints"]
    assert channel.numbered and channel.latched and channel.publishers == 2
    assert channel.bag_topic.offered_qos == offered and channel.topic == "/depth/compressedDepth"


def test_a_clock_that_is_set_moves_the_pictures_that_are_being_encoded(
    line: Callable[..., Line],
) -> None:
    found = line(stream("depth"))
    found.picture(1)
    found.encoders.exchange(Batch([], shift_ns=500))
    found.until(lambda: len(found.came) == 1)
    assert found.came[0].receive_ns == MS + 500


def test_an_encoder_that_is_missing_is_named(line: Callable[..., Line]) -> None:
    pytest.importorskip("av")
    found = line(stream("head", Codec.H264, encoder="h264_odd"), stream("depth"))
    found.until(lambda: ready(found))
    problems = found.encoders.problems()
    assert problems.keys() == {"head"}
    assert "h264_odd: unknown" in problems["head"] and "'encode' in the profile" in problems["head"]


OWNER = """
import sys, time
from test_encoders import *
if __name__ == "__main__":
    encoders = Encoders([stream("depth")])
    encoders.start()
    while encoders.problems():
        encoders.exchange(Batch([]))
        time.sleep(0.01)
    print(encoders._processes[0].pid, flush=True)
    time.sleep(60)
"""


def test_the_processes_end_with_their_owner() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])},
    )  # fmt: skip
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < end, "it outlived its owner"
        time.sleep(0.01)


def test_more_pictures_wait_than_a_pipe_has_room_for(line: Callable[..., Line]) -> None:
    found = line(stream("depth"))
    found.until(lambda: ready(found))
    pid = halted(found)
    for number in range(1, 701):
        found.picture(number)
    os.kill(pid, signal.SIGCONT)
    found.settle()
    assert found.numbers() == list(range(1, 701)) and found.lost == 0


def test_a_picture_that_grows_by_encoding_comes_back(line: Callable[..., Line]) -> None:
    found = line(stream("depth"))
    noise = np.random.default_rng(1).integers(1, 65_535, (50, 60, 1)).astype("u2")
    message = raw(noise, "16UC1", stamp_ns=1)
    found.give(Sample(found.streams[0].source, message, MS, MS))
    found.settle()
    (sample,) = found.came
    assert len(sample.data) > len(message)
    assert (encoded_picture(sample.data).rvl_values() == noise[..., 0]).all()


def test_each_video_stays_with_one_process(line: Callable[..., Line]) -> None:
    pytest.importorskip("av")
    found = line(
        stream("left", Codec.H264), stream("right", Codec.H264), stream("depth"), processes=2
    )
    found.until(lambda: found.encoders.problems() == {})
    decoders = {s.channel: VideoDecoder() for s in found.streams[:2]}
    for number in range(1, 31):
        grey = raw(np.full((32, 48, 1), 5 * number, "u1"), "mono8", stamp_ns=number)
        at = number * MS
        found.give(*(Sample(s.source, grey, at, at) for s in found.streams[:2]))
        found.picture(number, place=2)
        found.settle()
    assert found.lost == 0 and len(found.came) == 90
    for sample in found.came:
        if sample.channel in decoders:
            number = header_stamp_ns(sample.data)
            packet = video_packet(VIDEO, sample.data)
            ((_, frame),) = decoders[sample.channel].decode(packet, number)
            assert abs(float(frame.grey().mean()) - 5 * number) < 6
