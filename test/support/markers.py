"""Messages with markers, as bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from robot_recorder.messages.markers import MARKER_ARRAY

__all__ = ["MARKER_ARRAY", "array", "marker"]


class _Cdr:
    """Writes little-endian CDR."""

    def __init__(self) -> None:
        self.data = b""

    def put(self, size: int, form: str, *values: float | bytes) -> None:
        self.data += bytes(-len(self.data) % size) + struct.pack(f"<{form}", *values)

    def text(self, text: str) -> None:
        raw = text.encode() + b"\0"
        self.put(4, f"I{len(raw)}s", len(raw), raw)


def marker(
    kind: int,
    number: int = 0,
    action: int = 0,
    at: Sequence[float] = (0, 0, 0),
    turn: Sequence[float] = (0, 0, 0, 1),
    scale: Sequence[float] = (1, 1, 1),
    rgba: Sequence[float] = (1, 0.5, 0, 1),
    frame: str = "base",
    lifetime_s: float = 0.0,
    points: Sequence[Sequence[float]] = (),
    colours: Sequence[Sequence[float]] = (),
    text: str = "",
    namespace: str = "things",
) -> dict[str, object]:
    """Return the fields of a marker."""
    return dict(locals())


def array(*markers: dict, textured: bool = True) -> bytes:
    """Return a MarkerArray, of Foxy or before if not `textured`."""
    cdr = _Cdr()
    cdr.put(4, "I", len(markers))
    for m in markers:
        cdr.put(4, "iI", 0, 0)
        cdr.text(m["frame"])
        cdr.text(m["namespace"])
        cdr.put(4, "iii", m["number"], m["kind"], m["action"])
        cdr.put(8, "10d", *m["at"], *m["turn"], *m["scale"])
        cdr.put(4, "4f", *m["rgba"])
        cdr.put(4, "iI", int(m["lifetime_s"]), round(m["lifetime_s"] % 1 * 1e9))
        cdr.put(1, "B", 1)
        for size, form, rows in ((8, "d", m["points"]), (4, "f", m["colours"])):
            cdr.put(4, "I", len(rows))
            if len(rows):
                flat = np.ravel(rows).tolist()
                cdr.put(size, f"{len(flat)}{form}", *flat)
        if textured:
            cdr.text("")
            cdr.put(4, "iI", 0, 0)
            cdr.text("camera")
            cdr.text("png")
            cdr.put(4, "I3s", 3, b"png")
            cdr.put(4, "I2f", 1, 0.5, 0.5)
        cdr.text(m["text"])
        cdr.text("package://somewhere/mesh.stl")
        if textured:
            cdr.text("mesh.stl")
            cdr.put(4, "I5s", 5, b"bytes")
        cdr.put(1, "B", 0)
    return b"\0\1\0\0" + cdr.data
