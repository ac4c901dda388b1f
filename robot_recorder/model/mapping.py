"""How a profile maps the fields of any message to the values of a stream."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

_STEP = re.compile(
    r"(?P<name>[A-Za-z]\w*)?(?:\.?\{(?P<several>[A-Za-z]\w*(?:\s*,\s*[A-Za-z]\w*)+)\})?"
    r"(?:\[(?P<index>[-\d:,\s]*)\]|\{(?P<key>[A-Za-z][\w.]*)\s*=\s*(?P<value>[^}]*)\})?\Z"
)
_PART = re.compile(r"(?P<first>-?\d+)?(?P<colon>\s*:\s*(?P<end>-?\d+)?)?\Z")
_DOT = re.compile(r"\.(?![^{\[]*[}\]])")  # a dot outside of brackets


class Meaning(str, Enum):
    """What a mapped stream is, as ``as:`` of a profile."""

    JOINT_STATE = "joint_state"
    IMU = "imu"
    WRENCH = "wrench"
    POSE = "pose"
    POSES = "poses"
    TWIST = "twist"
    TACTILE = "tactile"
    NUMBERS = "numbers"


class StampSource(str, Enum):
    """Where a stream's timestamps come from."""

    AUTO = "auto"  # header, else the source stamp where it agrees with the receipt, else receipt
    HEADER = "header"
    FIELD = "field"
    SOURCE = "source"  # when DDS says the message was sent
    RECEIPT = "receipt"


class PathError(ValueError):
    """A path that cannot be parsed."""


@dataclass(frozen=True)
class Step:
    """One step of a path.

    Attributes:
        names: the field, or several fields that are taken one after the other.
        index: parts of the array, each (first, end): end None: one element; first or end may be
            negative, counted from the end. None: all elements.
        key, value: take only the elements whose field ``key`` has this value; empty: all.
    """

    names: tuple[str, ...]
    index: tuple[tuple[int, int | None], ...] | None = None
    key: str = ""
    value: str = ""


@dataclass(frozen=True)
class FieldPath:
    """A path to numbers of a message, such as ``motor_state[0:29].q``."""

    text: str
    steps: tuple[Step, ...]


OPEN_END = 1 << 40  # the end of ``[3:]``


def parse_path(text: str) -> FieldPath:
    """Parse a path.

    Raises:
        PathError: it is not a path; the message shows examples.
    """
    steps = [_step(text, part) for part in _DOT.split(text.strip())]
    return FieldPath(text, tuple(steps))


def _step(text: str, part: str) -> Step:
    match = _STEP.match(part.strip())
    if match is None or not (match["name"] or match["several"]):
        raise PathError(
            f"'{text}' is not a path: write for example motor_state[0:29].q, "
            "bodies{name=left_hand}.pose or forces[].{x,y}"
        )
    several = match["several"]
    if several and match["name"]:
        raise PathError(f"'{text}': put a dot before the fields in braces")
    names = tuple(n.strip() for n in several.split(",")) if several else (match["name"],)
    index = match["index"]
    parts = None
    if index is not None and index.strip():
        parts = tuple(_part(text, p.strip()) for p in index.split(","))
    return Step(names, parts, match["key"] or "", (match["value"] or "").strip().strip("'\""))


def _part(text: str, part: str) -> tuple[int, int | None]:
    match = _PART.match(part)
    if match is None or not part:
        raise PathError(f"'{text}': '{part}' is not an index; write 3, 0:29 or 0:13, 15:20")
    if not match["colon"]:
        return int(match["first"]), None
    return int(match["first"] or 0), int(match["end"] or OPEN_END)


@dataclass(frozen=True)
class StampRule:
    """Where a stream's timestamps come from, as ``stamp:`` of a profile.

    Attributes:
        source: where from.
        path: the field, for FIELD.
        unit_ns: length of the field's unit, ns; 0: the field is a Time.
        bits: after how many bits the field begins at 0 again; 0: never.
    """

    source: StampSource = StampSource.AUTO
    path: FieldPath | None = None
    unit_ns: int = 0
    bits: int = 0

    @property
    def text(self) -> str:
        """Describe it for people."""
        if self.path is not None:
            return self.path.text
        return {"source": "DDS source stamp", "auto": "automatic"}.get(
            self.source.value, self.source.value
        )


AUTOMATIC = StampRule()


@dataclass(frozen=True)
class Pad:
    """One pad of a tactile stream.

    Attributes:
        name: first part of its taxels' names; empty: the stream has only this pad.
        normal: pressure of every taxel.
        shear: x and y of every taxel; empty: none.
        shape: rows and columns; None: taxels are numbered.
    """

    name: str
    normal: tuple[FieldPath, ...]
    shear: tuple[FieldPath, ...] = ()
    shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class StreamMapping:
    """How the values of a stream are read from its messages.

    Attributes:
        meaning: what the values are.
        fields: paths by what they are, such as ``position``.
        names: names of joints, bodies or numbers; empty: read from ``name_paths``.
        name_paths: where messages carry the names.
        rename: name by the text or number in a message.
        each: array whose elements are bodies or pads, whose paths are relative to an element.
        pads: pads of a tactile stream.
        wxyz: whether quaternions begin with w.
        unit: unit of the values after multiplication with ``factor``; empty: the usual one.
        factor: factor of the values.
        absent: number in a message that means that there is no value; None: no number does.
    """

    meaning: Meaning
    fields: dict[str, tuple[FieldPath, ...]] = field(default_factory=dict, hash=False)
    names: tuple[str, ...] = ()
    name_paths: tuple[FieldPath, ...] = ()
    rename: dict[str, str] = field(default_factory=dict, hash=False)
    each: FieldPath | None = None
    pads: tuple[Pad, ...] = ()
    wxyz: bool = False
    unit: str = ""
    factor: float = 1.0
    absent: float | None = None

    @property
    def value_paths(self) -> list[FieldPath]:
        """Return the paths of all values."""
        paths = [path for paths in self.fields.values() for path in paths]
        return paths + [path for pad in self.pads for path in (*pad.normal, *pad.shear)]
