"""Logs camera pictures, of a long episode only as many as a viewer can hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import rerun as rr

from robot_recorder.content.contents import Images, Topic
from robot_recorder.model.errors import DecodeError
from robot_recorder.view.log import RerunLog, stream_entity

_AT_ONCE = 8_000_000  # bytes: the first pictures are shown before the last of a batch are read
_SAMPLES = 8  # pictures of a camera from which the size of all is estimated


class CameraLog:
    """The log of pictures: encoded ones as they are, raw ones encoded by ``Images.picture``."""

    def __init__(self, log: RerunLog, every: int) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            every: log one picture out of this many.
        """
        self._log = log
        self._every = every
        self._seen: Counter[str] = Counter()
        self.logged: Counter[str] = Counter()
        self._broken: Counter[Topic] = Counter()

    def add(self, images: Images) -> None:
        """Log the next pictures of one camera."""
        name = images.topic.name
        first = -self._seen[name] % self._every
        self._seen[name] += len(images.times_s)
        numbers: list[int] = []
        blobs: list[bytes] = []
        kinds: list[str] = []
        for number in range(first, len(images.times_s), self._every):
            try:
                picture = images.picture(number)
            except DecodeError:
                self._broken[images.topic] += 1
                continue
            numbers.append(number)
            blobs.append(picture.data)
            kinds.append(picture.media_type)
            if sum(map(len, blobs)) > _AT_ONCE:
                self._send(images, numbers, blobs, kinds)
                numbers, blobs, kinds = [], [], []
        if numbers:
            self._send(images, numbers, blobs, kinds)

    def _send(
        self, images: Images, numbers: list[int], blobs: list[bytes], kinds: list[str]
    ) -> None:
        path = stream_entity(images.topic.stream)
        if not self.logged[images.topic.name]:
            smooth = rr.components.MagnificationFilter.Linear
            self._log.once(path, rr.EncodedImage.from_fields(magnification_filter=smooth))
        columns = rr.EncodedImage.columns(blob=blobs, media_type=kinds)
        self._log.send(path, images.times_s[numbers], columns)
        self._log.flush()
        self.logged[images.topic.name] += len(numbers)

    @property
    def problems(self) -> list[str]:
        """Return what could not be shown, one sentence per camera."""
        return [
            f"{topic.name}: {count} pictures cannot be decoded"
            for topic, count in self._broken.items()
        ]


def estimated_bytes(images: Sequence[Images]) -> float:
    """Estimate the size of all pictures of some cameras from their first ones.

    Args:
        images: the first pictures of each camera.
    """
    total = 0.0
    for part in images:
        step = math.ceil(len(part.times_s) / _SAMPLES)
        sizes = []
        for number in range(0, len(part.times_s), step):
            try:
                sizes.append(len(part.picture(number).data))
            except DecodeError:
                continue
        if sizes:
            total += sum(sizes) / len(sizes) * part.topic.count
    return total
