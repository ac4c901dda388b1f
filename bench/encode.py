"""Measures what encoding cameras costs: ``python bench/encode.py``, a minute.

Each codec alone, for a 640x480 picture, in this process; and all of ``CAMERAS`` through the encoder
processes, as the recorder uses them. ``bench/recorder.py`` calls ``measure_encoding``. Times are CPU
times; beside them stands the bare OpenCV call in the same run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from figures import RESULTS, write_results
from processes import cpu_s

from robot_recorder.encoding.encoders import EncodedStream, Encoders
from robot_recorder.encoding.picture_encoder import lacking, new_encoder
from robot_recorder.messages.encoded import recorded_stream
from robot_recorder.messages.image_messages import RAW
from robot_recorder.model.encode_settings import Codec, EncodeSettings
from robot_recorder.model.streams import Role, StreamConfig
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample

WIDTH, HEIGHT, RATE_HZ = 640, 480, 30.0
CAMERAS = {Codec.JPEG: 4, Codec.RVL: 4}  # of encode_cpu_share
_PICTURES = 20  # different ones
_REPEATS = 60  # of each measurement


def message(encoding: str, pixels: np.ndarray) -> bytes:
    """Return an Image message, CDR."""
    frame, name = b"camera_1\0".ljust(12, b"\0"), encoding.encode() + b"\0"
    head = struct.pack("<iII", 1, 2, 9) + frame + struct.pack("<II", *pixels.shape[:2])
    head += struct.pack("<I", len(name)) + name + b"\0"  # the last: little endian
    head += bytes(-len(head) % 4)
    row = pixels.nbytes // pixels.shape[0]
    return b"\0\1\0\0" + head + struct.pack("<II", row, pixels.nbytes) + pixels.tobytes()


@lru_cache
def colours() -> list[np.ndarray]:
    """Return pictures of a camera that pans over a textured scene, with a sensor's noise; RGB."""
    rng = np.random.default_rng(1)
    scene = rng.integers(0, 255, (HEIGHT, WIDTH + 4 * _PICTURES, 3), np.uint8)
    smooth = np.asarray(cv2.GaussianBlur(scene, (0, 0), 4)).astype(np.float32)
    scene = np.clip((smooth - smooth.mean()) * 8 + 128, 20, 235).astype(np.uint8)
    found = []
    for number in range(_PICTURES):
        part = scene[:, 4 * number : 4 * number + WIDTH].astype(np.int16)
        noise = rng.normal(0, 2, part.shape).astype(np.int16)
        found.append(np.clip(part + noise, 0, 255).astype(np.uint8))
    return found


@lru_cache
def depths() -> list[np.ndarray]:
    """Return pictures of a depth camera: slopes, 3 mm of noise, and holes; mm."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    holes = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH)), (0, 0), 6) > 0.52
    found = []
    for number in range(_PICTURES):
        slope = 1500 + 400 * np.sin((x + 4 * number) / 90) + 300 * np.cos(y / 70)
        depth = (slope + rng.normal(0, 3, slope.shape)).astype(np.uint16)
        depth[holes] = 0
        found.append(depth)
    return found


def messages(codec: Codec) -> list[bytes]:
    """Return the raw pictures that a codec is measured with."""
    if codec in (Codec.PNG16, Codec.RVL):
        return [message("16UC1", depth) for depth in depths()]
    return [message("rgb8", colour) for colour in colours()]


def cpu_ms(work: Callable[[int], object]) -> float:
    """Return the CPU time of a call, ms, after some to warm up."""
    for number in range(5):
        work(number)
    began = time.process_time()
    for number in range(_REPEATS):
        work(number)
    return (time.process_time() - began) * 1e3 / _REPEATS


def alone(codec: Codec) -> dict[str, float]:
    """Return milliseconds a picture, and how many times smaller it becomes."""
    sent, encoder = messages(codec), new_encoder(EncodeSettings(codec), RATE_HZ)
    sizes: list[int] = []

    def encode(number: int) -> None:
        sizes.append(len(encoder.encode(sent[number % _PICTURES])))

    name = codec.value
    took_ms = cpu_ms(encode)
    return {
        f"encode_{name}_ms": round(took_ms, 2),
        f"encode_{name}_smaller": round(len(sent[0]) * len(sizes) / sum(sizes), 2),
    }


def opencv_ms() -> dict[str, float]:
    """Return what OpenCV alone takes for a picture to JPEG, and a depth to PNG, ms."""
    cv2.setNumThreads(1)
    swapped = [np.ascontiguousarray(colour[..., ::-1]) for colour in colours()]
    jpeg = cpu_ms(lambda n: cv2.imencode(".jpg", swapped[n % _PICTURES], [1, 90]))
    png = cpu_ms(lambda n: cv2.imencode(".png", depths()[n % _PICTURES], [16, 1]))
    return {"encode_opencv_jpeg_ms": round(jpeg, 2), "encode_opencv_png_ms": round(png, 2)}


def pipe_ms() -> float:
    """Return how long a raw picture takes through a pipe, from hand to hand, ms."""
    ours, theirs = multiprocessing.Pipe()
    picture = messages(Codec.JPEG)[0]
    thread = threading.Thread(target=lambda: [theirs.recv_bytes() for _ in range(_REPEATS)])
    thread.start()
    began = time.perf_counter()
    for _ in range(_REPEATS):
        ours.send_bytes(picture)
    thread.join()
    return (time.perf_counter() - began) * 1e3 / _REPEATS


def _stream(name: str, codec: Codec) -> EncodedStream:
    settings = EncodeSettings(codec)
    config = StreamConfig(name, name, RAW, Role.OBSERVATION, RATE_HZ, encode=settings)
    recorded = recorded_stream(config)
    channels = [Channel(BagTopic(f"/{s.topic}", s.type)) for s in (config, recorded)]
    return EncodedStream(config, *channels)


def together(seconds: float) -> dict[str, float]:
    """Return what all cameras cost at RATE_HZ, in parts of one processor, as the recorder encodes them.

    Also how many pictures a second this machine encodes, one of each camera at a time.
    """
    streams = [_stream(f"{c.value}_{n}", c) for c, count in CAMERAS.items() for n in range(count)]
    sent = {stream.config.name: messages(Codec(stream.config.name.split("_")[0]))
            for stream in streams}  # fmt: skip
    encoders = Encoders(streams)
    encoders.start()
    while any("starting" in problem for problem in encoders.problems().values()):
        encoders.exchange(Batch([]))
        time.sleep(0.01)
    pids = [p.pid for p in encoders._processes if p.pid is not None]
    began_s = sum(map(cpu_s, pids))
    own_s, given, came = 0.0, 0, 0
    began, end = time.monotonic(), time.monotonic() + seconds
    while came < given or time.monotonic() < end:
        number = given // len(streams)
        samples = [
            Sample(s.source, sent[s.config.name][number % _PICTURES], given, given) for s in streams
        ] if came == given else []  # fmt: skip
        given += len(samples)
        own = time.thread_time()
        batch = encoders.exchange(Batch(samples))
        if samples or batch.samples:  # not the many calls that find nothing yet
            own_s += time.thread_time() - own
        came += len(batch.samples)
        assert not batch.dropouts, "pictures were lost"
        time.sleep(0.002)
    took_s = time.monotonic() - began
    theirs_s = sum(map(cpu_s, pids)) - began_s
    encoders.close()
    per_second = len(streams) * RATE_HZ
    return {
        "encode_cpu_share": round((theirs_s + own_s) / came * per_second, 3),
        "encode_own_cpu_share": round(own_s / came * per_second, 3),
        "encode_pictures_per_s": round(came / took_s, 1),
    }


def measure_encoding(seconds: float = 10.0) -> dict[str, float]:
    """Return the figures ``encode_*``.

    Args:
        seconds: how long to encode all cameras together.
    """
    figures: dict[str, float] = {}
    for codec in Codec:
        if problem := lacking(EncodeSettings(codec)):
            print(f"not measured: {problem}", file=sys.stderr)
            continue
        figures |= alone(codec)
    figures |= opencv_ms()
    figures["encode_jpeg_over_opencv"] = round(
        figures["encode_jpeg_ms"] / figures["encode_opencv_jpeg_ms"], 2
    )
    figures["encode_pipe_ms"] = round(pipe_ms(), 2)
    return figures | together(seconds)


def main() -> None:
    """Measure, print, write results/encode.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "encode.json")
    options = parser.parse_args()
    figures = measure_encoding(options.seconds)
    for name, value in figures.items():
        print(f"{name:26} {value:g}")
    command = f"python bench/encode.py --seconds {options.seconds:g}"
    write_results(options.out, command, figures, load=round(os.getloadavg()[0], 1))


if __name__ == "__main__":
    main()
