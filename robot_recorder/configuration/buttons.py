"""Which button, pedal, key or topic says which command of a shift."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from robot_recorder.configuration.yaml_source import YamlMap, did_you_mean, is_name
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.shift import COMMANDS
from robot_recorder.model.text import text_problem

_SECTIONS = ("timing", "joys", "topics", "keys", "devices")
_WITH_CAUSE = "failure"
_TOPIC = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*\Z")
_MS_PER_S = 1000.0
_THRESHOLD, _HYSTERESIS = 0.5, 0.1

BROWSER_KEYS: dict[str, str] = {
    **{key: key for key in (*string.ascii_lowercase, *string.digits, *"-=[];'`\\,./+*")},
    "space": " ", "enter": "Enter", "tab": "Tab", "escape": "Escape", "backspace": "Backspace",
    "delete": "Delete", "insert": "Insert", "home": "Home", "end": "End", "pageup": "PageUp",
    "pagedown": "PageDown", "up": "ArrowUp", "down": "ArrowDown", "left": "ArrowLeft",
    "right": "ArrowRight", "playpause": "MediaPlayPause", "volumeup": "AudioVolumeUp",
    "volumedown": "AudioVolumeDown", **{f"f{n}": f"F{n}" for n in range(1, 25)},
}  # fmt: skip
"""Names of keys, and how a browser calls them in ``KeyboardEvent.key``."""


@dataclass(frozen=True)
class JoyLayout:
    """Names of a controller's buttons and axes, in the order of its ``sensor_msgs/msg/Joy``."""

    buttons: tuple[str, ...]
    axes: tuple[str, ...]


LAYOUTS = {
    # `joy`'s game_controller_node: any pad that SDL knows, on USB or Bluetooth, in this order.
    "game_controller": JoyLayout(
        ("cross", "circle", "square", "triangle", "share", "ps", "options", "l3", "r3", "l1", "r1",
         "up", "down", "left", "right", "misc", "paddle1", "paddle2", "paddle3", "paddle4",
         "touchpad"),
        ("left_x", "left_y", "right_x", "right_y", "l2", "r2"),
    ),
    # `joy`'s joy_node, DualShock 4 and DualSense, by the order of the kernel's key codes.
    "playstation_joy_node": JoyLayout(
        ("cross", "circle", "triangle", "square", "l1", "r1", "l2", "r2", "share", "options", "ps",
         "l3", "r3"),
        ("left_x", "left_y", "l2", "right_x", "right_y", "r2", "dpad_x", "dpad_y"),
    ),
    # One hand of a Quest: "xr-standard" of the WebXR Gamepads Module. X and A are lower, Y and B upper.
    "xr_standard": JoyLayout(
        ("trigger", "grip", "touchpad", "thumbstick", "lower", "upper"),
        ("touchpad_x", "touchpad_y", "thumbstick_x", "thumbstick_y"),
    ),
}  # fmt: skip
"""Controllers whose buttons can be named instead of numbered, as ``layout:`` of a joy."""


@dataclass(frozen=True)
class ButtonCommand:
    """What a gesture says.

    Attributes:
        command: one of ``COMMANDS``.
        cause: of a failure; empty: none.
    """

    command: str
    cause: str = ""


@dataclass(frozen=True)
class PressTiming:
    """What tells gestures apart, s.

    Attributes:
        bounce_s: changes that follow each other faster are one.
        long_s: a press that lasts this long is a long one.
        double_s: a second press within this time of the first one's release makes a double one.
    """

    bounce_s: float = 0.05
    long_s: float = 0.8
    double_s: float = 0.3


@dataclass(frozen=True)
class Gestures:
    """What one button says, by the way it is pressed; None: nothing."""

    press: ButtonCommand | None = None
    long: ButtonCommand | None = None
    double: ButtonCommand | None = None
    timing: PressTiming = PressTiming()


_GESTURES = ("press", "long", "double")


@dataclass(frozen=True)
class AxisThreshold:
    """When an axis counts as pressed.

    Attributes:
        value: it is pressed beyond this value.
        above: whether beyond is above; else below.
        hysteresis: it is released when it has come back by this much.
    """

    value: float
    above: bool
    hysteresis: float = _HYSTERESIS

    def pressed(self, reading: float, before: bool | None) -> bool | None:
        """Return whether a reading is pressed.

        Args:
            reading: of the axis.
            before: the last answer; None: there was none, and none is given for NaN.
        """
        if reading != reading:
            return before
        beyond = reading - self.value if self.above else self.value - reading
        return beyond > (-self.hysteresis if before else 0.0)


@dataclass(frozen=True)
class JoyControl:
    """A button or an axis of a ``sensor_msgs/msg/Joy``.

    Attributes:
        name: as in the file, for messages.
        number: its place in ``buttons``, or in ``axes`` if there is a threshold.
        gestures: what it says.
        threshold: of an axis; None: a button.
    """

    name: str
    number: int
    gestures: Gestures
    threshold: AxisThreshold | None = None


@dataclass(frozen=True)
class JoyTopic:
    """A topic of type ``sensor_msgs/msg/Joy``, and what its buttons and axes say."""

    topic: str
    controls: tuple[JoyControl, ...]


class ButtonType(str, Enum):
    """Type of a topic that is a single button."""

    BOOL = "std_msgs/msg/Bool"  # true while it is pressed
    EMPTY = "std_msgs/msg/Empty"  # each message is a press


@dataclass(frozen=True)
class ButtonTopic:
    """A topic that is one button."""

    topic: str
    type: ButtonType
    gestures: Gestures


@dataclass(frozen=True)
class Bindings:
    """All buttons of an operator.

    Attributes:
        joys, topics: buttons that are ROS topics.
        keys: by a name of ``BROWSER_KEYS``; for input devices, terminals and the console's pages.
        devices: patterns of /dev/input paths whose keys are heard.
    """

    joys: tuple[JoyTopic, ...] = ()
    topics: tuple[ButtonTopic, ...] = ()
    keys: Mapping[str, Gestures] = field(default_factory=dict, hash=False)
    devices: tuple[str, ...] = ()


def joined(several: Iterable[Bindings]) -> Bindings:
    """Return the buttons of several files together.

    Raises:
        ConfigError: two of them bind the same topic or key.
    """
    topics: dict[str, JoyTopic | ButtonTopic] = {}
    keys: dict[str, Gestures] = {}
    devices: dict[str, None] = {}
    for one in several:
        mine: list[JoyTopic | ButtonTopic] = [*one.joys, *one.topics]
        for topic in mine:
            if topics.setdefault(topic.topic, topic) is not topic:
                raise ConfigError(f"topic '{topic.topic}' is bound by two button files: keep one")
        if twice := sorted(keys.keys() & one.keys.keys()):
            raise ConfigError(f"key '{twice[0]}' is bound by two button files: keep one")
        keys.update(one.keys)
        devices.update(dict.fromkeys(one.devices))
    return Bindings(
        tuple(topic for topic in topics.values() if isinstance(topic, JoyTopic)),
        tuple(topic for topic in topics.values() if isinstance(topic, ButtonTopic)),
        keys,
        tuple(devices),
    )


def parse_buttons(text: str, source: str = "buttons") -> Bindings:
    """Parse bindings of buttons.

    Args:
        text: the YAML.
        source: its file name, for error messages.

    Raises:
        ConfigError: they are invalid; the message names file, line, key and the fix.
    """
    top = YamlMap.parse(text, source)
    top.allow(_SECTIONS)
    timing = _timing(top.map("timing")) if "timing" in top else PressTiming()

    def section(name: str) -> list[tuple[str, YamlMap]]:
        return list(top.map(name).items()) if name in top else []

    bindings = Bindings(
        tuple(_joy(topic, entry, timing) for topic, entry in section("joys")),
        tuple(_topic(topic, entry, timing) for topic, entry in section("topics")),
        {_key(name, entry): _gestures(entry, timing) for name, entry in section("keys")},
        _devices(top),
    )
    if not (bindings.joys or bindings.topics or bindings.keys):
        top.fail("binds no button: add joys, topics or keys")
    if bindings.devices and not bindings.keys:
        top.fail_at("devices", "their keys say nothing: add keys")
    return bindings


def _timing(entry: YamlMap) -> PressTiming:
    usual = {"bounce_ms": 50.0, "long_ms": 800.0, "double_ms": 300.0}
    entry.allow(usual)
    ms = {name: entry.number(name, value, above=0, most=10_000) for name, value in usual.items()}
    bounce_s, long_s, double_s = (float(value or 0) / _MS_PER_S for value in ms.values())
    for name, value in (("long_ms", long_s), ("double_ms", double_s)):
        if value <= bounce_s:
            entry.fail(f"{name} must be greater than bounce_ms, {bounce_s * _MS_PER_S:g}")
    return PressTiming(bounce_s, long_s, double_s)


def _joy(topic: str, entry: YamlMap, timing: PressTiming) -> JoyTopic:
    _check_topic(topic, entry)
    entry.allow(("layout", "buttons", "axes"))
    layout = JoyLayout((), ())
    if "layout" in entry:
        layout = LAYOUTS[entry.choice("layout", LAYOUTS)]
    controls: list[JoyControl] = []
    for name, button in entry.map("buttons").items() if "buttons" in entry else ():
        controls.append(
            JoyControl(name, _number(name, button, layout.buttons), _gestures(button, timing))
        )
    for name, axis in entry.map("axes").items() if "axes" in entry else ():
        controls += _axis(name, _number(name, axis, layout.axes), axis, timing)
    if not controls:
        entry.fail("binds no button: add buttons or axes")
    seen: set[tuple[int, bool | None]] = set()
    for control in controls:  # a name and its number
        place = control.number, control.threshold.above if control.threshold else None
        if place in seen:
            entry.fail(f"'{control.name}' is number {control.number}, which is bound already")
        seen.add(place)
    return JoyTopic(topic, tuple(controls))


def _number(name: str, entry: YamlMap, names: tuple[str, ...]) -> int:
    """Return the number of a button or axis."""
    if name in names:
        return names.index(name)
    if re.fullmatch(r"[0-9]{1,3}", name):
        return int(name)
    if names:
        entry.fail(f"unknown name; {did_you_mean(name, names)}; or give its number")
    entry.fail(f"give its number; for names add layout: {' or '.join(sorted(LAYOUTS))}")


def _axis(name: str, number: int, entry: YamlMap, timing: PressTiming) -> list[JoyControl]:
    entry.allow(("above", "below"))
    controls = []
    for side, usual in (("above", _THRESHOLD), ("below", -_THRESHOLD)):
        if side not in entry:
            continue
        half = entry.map(side)
        value = half.number("value", usual)
        hysteresis = half.number("hysteresis", _HYSTERESIS, above=0)
        assert value is not None and hysteresis is not None
        said = _gestures(half, timing, ("value", "hysteresis"))
        threshold = AxisThreshold(value, side == "above", hysteresis)
        controls.append(JoyControl(f"{name} {side} {value:g}", number, said, threshold))
    if not controls:
        entry.fail("add above: or below: with a gesture, such as above: {value: 0.5, press: step}")
    return controls


def _topic(topic: str, entry: YamlMap, timing: PressTiming) -> ButtonTopic:
    _check_topic(topic, entry)
    kind = ButtonType(entry.choice("type", [one.value for one in ButtonType]))
    gestures = _gestures(entry, timing, ("type",))
    if kind is ButtonType.EMPTY and gestures.long is not None:
        entry.fail_at("long", f"nobody can hold a {kind.value}; use press, double or a Bool")
    return ButtonTopic(topic, kind, gestures)


def _check_topic(topic: str, entry: YamlMap) -> None:
    if not _TOPIC.match(topic):
        entry.fail("is not the name of a topic: use letters, digits, _ and /, such as vr/buttons")


def _key(name: str, entry: YamlMap) -> str:
    if name in BROWSER_KEYS:
        return name
    if name.lower() in BROWSER_KEYS:
        entry.fail(f"write the key as {name.lower()}")
    names = [key for key in BROWSER_KEYS if len(key) > 1]
    entry.fail(
        f"unknown key '{name}'; a letter, a digit, or one with a name; {did_you_mean(name, names)}"
    )


def _devices(top: YamlMap) -> tuple[str, ...]:
    for pattern in top.texts("devices"):
        if not pattern.startswith("/"):
            top.fail_at("devices", f"'{pattern}' is no path; give one such as /dev/input/by-id/*")
    return top.texts("devices")


def _gestures(entry: YamlMap, timing: PressTiming, others: tuple[str, ...] = ()) -> Gestures:
    """Parse what a button says.

    Args:
        entry: of the button.
        timing: that holds for it.
        others: further keys of the entry.
    """
    entry.allow((*others, *_GESTURES))
    said = {name: _command(entry, name) for name in _GESTURES if name in entry}
    if not said:
        entry.fail("says nothing: add press:, long: or double: with a command")
    return Gestures(said.get("press"), said.get("long"), said.get("double"), timing)


def _command(entry: YamlMap, gesture: str) -> ButtonCommand:
    """Parse a command: its name, or ``{failure: CAUSE}``."""
    value = entry.value(gesture)
    if not isinstance(value, dict):
        return ButtonCommand(entry.choice(gesture, COMMANDS))
    inner = entry.map(gesture)
    inner.allow(COMMANDS)
    if list(value) != [_WITH_CAUSE]:
        inner.fail("only a failure has a cause: write {failure: CAUSE}, or a command alone")
    cause = inner.text(_WITH_CAUSE)
    if not is_name(cause) or text_problem("cause", cause):
        inner.fail_at(_WITH_CAUSE, f"the cause '{cause}' must be letters, digits and _, at most 64")
    return ButtonCommand(_WITH_CAUSE, cause)
