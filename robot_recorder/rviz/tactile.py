"""Draws a tactile pad as coloured cells on its surface."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from robot_recorder.messages.cdr import CdrReader
from robot_recorder.messages.decoders import TactileUnit, decode_tactile
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.rviz.shapes import GREY, Cells, Colour, Key, Point, Shape, Text, between

# From dark violet over red to light yellow: untouched cells are dark, touched ones bright.
_HEAT: tuple[Colour, ...] = (
    (0.10, 0.09, 0.16, 1.0),
    (0.38, 0.10, 0.44, 1.0),
    (0.78, 0.22, 0.33, 1.0),
    (0.97, 0.55, 0.15, 1.0),
    (0.99, 0.95, 0.60, 1.0),
)
_FLOORS = {TactileUnit.PASCAL: 5000.0, TactileUnit.NORMALISED: 0.2}  # least scale: noise stays dark
_TOUCHED = 0.05  # share of the scale; below it a cell is dark, and the pad shows no number
# Pads of the simulated G1: rows count from the index finger, which is against y on the left.
PADS = "left_palm:0.014,-0.020 right_palm:0.014,0.020"
_THICK_M = 0.003
_GAP = 0.88  # share of the pitch that a cell fills
_LETTER_M = 0.018
_STEPS = 32  # number of colours, so that noise does not change them


@dataclass(frozen=True)
class PadLayout:
    """The spacing of a grid of cells.

    Attributes:
        pitch_x: from one column to the next, along x of the pad's frame, m.
        pitch_y: from one row to the next, along y, m; negative: rows count against y.
    """

    pitch_x: float = 0.010
    pitch_y: float = 0.010


@dataclass(frozen=True)
class PadReading:
    """One reading of a pad.

    Attributes:
        frame: x along columns, y along rows, z out of the surface; its origin is the pad's centre.
        unit: of the cells.
        cols: cells in a row; of a pad without a grid, those of a nearly square one.
        normal: float64[n], row by row.
    """

    frame: str
    unit: TactileUnit
    cols: int
    normal: Floats


@dataclass
class PressureScale:
    """The pressure of the brightest colour by unit: the highest so far, so that pads compare."""

    most: dict[TactileUnit, float] = field(default_factory=lambda: dict(_FLOORS))

    def see(self, pad: PadReading) -> float:
        """Take a reading and return the pressure of the brightest colour from now on."""
        peak = float(pad.normal.max(initial=0.0))
        if math.isfinite(peak) and peak > self.most[pad.unit]:
            # In steps, so that rising pressure does not recolour all cells with every reading.
            self.most[pad.unit] = float(f"{peak * 1.1:.2g}")
        return self.most[pad.unit]


def read_pad(data: bytes) -> PadReading:
    """Decode a robot_recorder/msg/TactileArray.

    Raises:
        DecodeError: it is not a TactileArray.
    """
    reader = CdrReader(data)
    reader.stamp_ns()
    frame, unit, rows, cols = reader.text(), reader.u8(), reader.u32(), reader.u32()
    decoded = decode_tactile(data)
    count = rows * cols or sum(name.startswith("normal/") for name in decoded.names)
    if unit not in _FLOORS:
        raise DecodeError(f"unknown unit {unit} of a tactile array")
    width = cols if rows * cols else max(1, math.ceil(math.sqrt(count)))
    return PadReading(frame, TactileUnit(unit), width, decoded.values[:count])


def parse_pads(text: str) -> dict[str, PadLayout]:
    """Parse layouts by frame, such as ``left_palm:0.014,-0.020 right_palm:0.014,0.020``.

    Raises:
        ConfigError: the text does not have this form.
    """
    layouts = {}
    for entry in text.split():
        frame, _, pitches = entry.partition(":")
        try:
            x, y = (float(p) for p in pitches.split(","))
        except ValueError:
            x = y = 0.0
        if not (frame and x > 0 and y != 0 and math.isfinite(x + y)):
            raise ConfigError(
                f"'{entry}' of parameter 'pads' is not FRAME:X,Y: give the distances between cells "
                "along x and y of the pad's frame in m, such as left_palm:0.014,-0.020; y is "
                "negative if rows count against it"
            )
        layouts[frame] = PadLayout(x, y)
    return layouts


def pad_shapes(
    number: int,
    pad: PadReading,
    full: float,
    layouts: Mapping[str, PadLayout],
    silent: bool = False,
) -> list[Shape]:
    """Return a pad's cells, and beside them the highest pressure if it is touched.

    Args:
        number: of the stream, for the keys.
        pad: the reading.
        full: the pressure of the brightest colour, in the pad's unit.
        layouts: by frame.
        silent: whether the reading is old; then it is grey.
    """
    if not len(pad.normal):
        return []
    layout = layouts.get(pad.frame, PadLayout())
    centres = _centres(len(pad.normal), pad.cols, layout)
    shares = np.nan_to_num(pad.normal / full, nan=0.0, posinf=1.0, neginf=0.0)
    colours = tuple(GREY if silent else _heat(share) for share in shares.tolist())
    size = (layout.pitch_x * _GAP, abs(layout.pitch_y) * _GAP, _THICK_M)
    shapes: list[Shape] = [Cells(Key("touch", 2 * number), pad.frame, centres, size, colours)]
    peak = float(shares.max())
    if peak >= _TOUCHED and not silent:
        # Beside the last column, because whatever it touches is in front of it.
        at = (round(centres[-1][0] + 4 * _LETTER_M, 4), 0.0, _THICK_M)
        text = _pressure(peak * full, pad.unit)
        colour = _heat(max(peak, 0.6))
        shapes.append(Text(Key("touch", 2 * number + 1), pad.frame, at, _LETTER_M, text, colour))
    return shapes


def _heat(share: float) -> Colour:
    return _heat_step(round(min(max(share, 0.0), 1.0) * _STEPS) if share >= _TOUCHED else 0)


@cache
def _heat_step(step: int) -> Colour:
    return between(step / _STEPS, _HEAT)


@cache
def _centres(count: int, cols: int, layout: PadLayout) -> tuple[Point, ...]:
    rows = math.ceil(count / cols)
    return tuple(
        (
            round((i % cols - (cols - 1) / 2) * layout.pitch_x, 5),
            round((i // cols - (rows - 1) / 2) * layout.pitch_y, 5),
            _THICK_M / 2,
        )
        for i in range(count)
    )


def _pressure(value: float, unit: TactileUnit) -> str:
    if unit is TactileUnit.NORMALISED:
        return f"{value:.0%}"
    return f"{value / 1000:.2g} kPa" if value < 10_000 else f"{value / 1000:.0f} kPa"
