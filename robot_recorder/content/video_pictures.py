"""Access to the pictures of a video by number, decoded from the last key frame before."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress

from robot_recorder.messages.video_messages import VideoPacket, video_packet
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.payloads import Payloads
from robot_recorder.quality.video_decoder import NotYetDecodable, VideoDecoder, VideoFrame

_MOST_KEPT = 64_000_000  # bytes of packets since a key frame in earlier parts of the bag
_CACHED = 8  # pictures: an encoder that looks ahead completes several at once
_AHEAD = 32  # most packets that complete a picture


class Video:
    """The video of one topic, which is read part by part."""

    def __init__(self, type_name: str) -> None:
        """Begin before the first part.

        Args:
            type_name: type of the messages.
        """
        self.type_name = type_name
        self._count = 0
        self._before: tuple[tuple[int, bytes], ...] = ()
        self._is_cut = False
        self.decoder = _VideoCursor()

    def part(self, payloads: Payloads) -> VideoPart:
        """Return the next part, which stays usable when the one after it is read."""
        part = VideoPart(self, self._count, self._before, payloads, self._is_cut)
        self._count += len(payloads)
        kept = [(of, data) for of, data in part.packets() if of >= part.last_key]
        goes_on = self._is_cut and not part.has_key  # the key frame that was cut off still counts
        self._is_cut = goes_on or sum(len(data) for _, data in kept) > _MOST_KEPT
        self._before = () if self._is_cut else tuple(kept)
        if self._is_cut:
            with suppress(DecodeError):  # the next part can be read forwards from its beginning
                part.picture(len(payloads) - 1)
        return part


class VideoPart:
    """The pictures of some seconds of a video."""

    def __init__(
        self,
        video: Video,
        first: int,
        before: tuple[tuple[int, bytes], ...],
        payloads: Payloads,
        is_cut: bool,
    ) -> None:
        """Look for key frames.

        Args:
            video: it belongs to.
            first: number of its first packet in the whole video.
            before: the packets since the last key frame of earlier parts, with their numbers.
            payloads: its messages.
            is_cut: whether the last key frame before it is too far away to be kept.
        """
        self._video, self._first, self._before = video, first, before
        self._payloads, self._is_cut = payloads, is_cut
        self._keys = [before[0][0]] if before else []
        self._keys += [first + n for n in range(len(payloads)) if self._is_key(payloads[n])]

    def _is_key(self, message: bytes) -> bool:
        try:
            return video_packet(self._video.type_name, message).is_key
        except DecodeError:
            return False

    @property
    def has_key(self) -> bool:
        """Return whether a key frame is known."""
        return bool(self._keys)

    @property
    def last_key(self) -> int:
        """Return the number of the last key frame; without a key frame, that after the last packet."""
        return self._keys[-1] if self._keys else self._first + len(self._payloads)

    def packets(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield numbers and messages from a packet of this part or one kept from before it."""
        yield from ((of, data) for of, data in self._before if of >= start)
        for number in range(max(start - self._first, 0), len(self._payloads)):
            yield self._first + number, self._payloads[number]

    def packet(self, number: int) -> VideoPacket:
        """Return a packet of this part.

        Raises:
            DecodeError: its message is truncated.
        """
        return video_packet(self._video.type_name, self._payloads[number])

    def picture(self, number: int) -> VideoFrame:
        """Return a picture of this part.

        Raises:
            NotYetDecodable: no key frame came before it.
            CannotDecode: PyAV or the codec is missing.
            DecodeError: it, or a picture that it builds on, is damaged.
        """
        wanted, cursor = self._first + number, self._video.decoder
        if wanted in cursor.frames:
            return cursor.frames[wanted]
        at = bisect_right(self._keys, wanted)
        key = self._keys[at - 1] if at else -1
        from_here = max(key + 1, self._before[0][0] if self._before else self._first)
        if not (from_here <= cursor.next <= wanted and not cursor.waits):
            self._go_to(key, wanted)
        for of, message in self.packets(cursor.next):
            if of > wanted + _AHEAD:
                break
            packet = video_packet(self._video.type_name, message)
            if of > wanted and packet.is_key:  # no earlier picture comes after it
                break
            cursor.take(of, packet, wanted)
            if wanted in cursor.frames:
                return cursor.frames[wanted]
        cursor.finish(wanted)
        if wanted not in cursor.frames:
            raise DecodeError("the video has no picture for this packet")
        return cursor.frames[wanted]

    def _go_to(self, key: int, wanted: int) -> None:
        """Go to a key frame to decode a picture that follows it; -1: there is no key frame.

        Raises:
            NotYetDecodable: no key frame came before the picture.
            DecodeError: the key frame is too far away, or a picture after it is damaged.
        """
        if key < 0 and self._is_cut:
            raise DecodeError("its last key frame is too far back")
        if key < 0:
            raise NotYetDecodable("it comes before the first key frame of its video")
        damaged = self._video.decoder.damaged
        if damaged and damaged[0] == key and damaged[1] < wanted:
            raise DecodeError("it follows a damaged picture, and no key frame came in between")
        self._video.decoder.begin(key)


class _VideoCursor:
    """A decoder at a place of a video, and the pictures that it completed last."""

    def __init__(self) -> None:
        self._decoder = VideoDecoder()
        self.next = 0  # number of the packet that the decoder takes next
        self._key = -1
        self.damaged: tuple[int, int] | None = None  # a key frame, and a damaged packet after it
        self.frames: OrderedDict[int, VideoFrame] = OrderedDict()

    @property
    def waits(self) -> bool:
        """Return whether decoding can go on at a key frame only."""
        return self._decoder.waits

    def begin(self, key: int) -> None:
        """Go to a key frame."""
        self._decoder.restart()
        self.frames.clear()
        self.next = self._key = key

    def take(self, number: int, packet: VideoPacket, wanted: int) -> None:
        """Decode a packet.

        Raises:
            DecodeError: it cannot be decoded.
        """
        self.next = number + 1
        if packet.is_key:
            self._key = number
        try:
            self._keep(self._decoder.decode(packet, number), wanted)
        except DecodeError:
            self.damaged = self._key, number
            raise

    def finish(self, wanted: int) -> None:
        """Complete the pictures that the decoder holds; it goes on at a key frame."""
        self._keep(self._decoder.rest(), wanted)

    def _keep(self, frames: list[tuple[int, VideoFrame]], wanted: int) -> None:
        for number, frame in frames:
            self.frames[number] = frame
        while len(self.frames) > _CACHED:
            oldest = next(n for n in self.frames if n != wanted)
            del self.frames[oldest]
