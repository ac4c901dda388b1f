"""Bindings of buttons: the shipped files, all keys, and errors of invalid ones.

Holds also: model/shift.py.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.configuration.buttons import (
    BROWSER_KEYS,
    LAYOUTS,
    AxisThreshold,
    Bindings,
    ButtonCommand,
    ButtonTopic,
    ButtonType,
    Gestures,
    JoyControl,
    JoyTopic,
    PressTiming,
    parse_buttons,
)
from robot_recorder.configuration.find import load_buttons
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.shift import COMMANDS

FOLDER = Path(__file__).parents[2] / "config" / "buttons"
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))

FULL = """\
timing: {bounce_ms: 20, long_ms: 1000, double_ms: 400}
joys:
  joy:
    layout: game_controller
    buttons:
      cross: {press: step, long: {failure: drop}}
      7: {double: undo}
    axes:
      r2: {below: {press: success}}
      6: {above: {value: 0.8, hysteresis: 0.2, press: next}, below: {press: end}}
topics:
  buttons/step: {type: std_msgs/msg/Empty, press: step, double: discard}
  /pedal: {type: std_msgs/msg/Bool, long: pause}
keys:
  space: {press: step}
  b: {press: {failure: wrong_object}}
  1: {press: retry}
devices: [/dev/input/by-id/*kbd]
"""
TIMING = PressTiming(0.02, 1.0, 0.4)


def gestures(**said: str) -> Gestures:
    return Gestures(**{key: ButtonCommand(value) for key, value in said.items()}, timing=TIMING)


def test_all_keys_are_read() -> None:
    step = Gestures(ButtonCommand("step"), ButtonCommand("failure", "drop"), timing=TIMING)
    joy = JoyTopic("joy", (
        JoyControl("cross", 0, step),
        JoyControl("7", 7, gestures(double="undo")),
        JoyControl("r2 below -0.5", 5, gestures(press="success"), AxisThreshold(-0.5, False)),
        JoyControl("6 above 0.8", 6, gestures(press="next"), AxisThreshold(0.8, True, 0.2)),
        JoyControl("6 below -0.5", 6, gestures(press="end"), AxisThreshold(-0.5, False)),
    ))  # fmt: skip
    topics = (
        ButtonTopic("buttons/step", ButtonType.EMPTY, gestures(press="step", double="discard")),
        ButtonTopic("/pedal", ButtonType.BOOL, gestures(long="pause")),
    )
    keys = {
        "space": gestures(press="step"),
        "b": Gestures(ButtonCommand("failure", "wrong_object"), timing=TIMING),
        "1": gestures(press="retry"),
    }
    assert parse_buttons(FULL) == Bindings((joy,), topics, keys, ("/dev/input/by-id/*kbd",))


def test_commands_are_those_of_the_service() -> None:
    service = (FOLDER.parents[1] / "srv" / "ShiftCommand.srv").read_text()
    line = next(one for one in service.splitlines() if one.startswith("string command"))
    assert line.partition("#")[2].strip().split(", ") == list(COMMANDS)


def test_timing_has_defaults() -> None:
    assert parse_buttons("keys: {a: {press: step}}").keys["a"].timing == PressTiming(0.05, 0.8, 0.3)


def test_no_two_keys_are_one_in_a_browser() -> None:
    assert len(set(BROWSER_KEYS.values())) == len(BROWSER_KEYS)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_valid_and_its_first_button_does_a_whole_take(name: str) -> None:
    bindings = load_buttons(name)
    controls = [control.gestures for joy in bindings.joys for control in joy.controls]
    controls += [topic.gestures for topic in bindings.topics] + list(bindings.keys.values())
    said = {g.press.command for g in controls if g.press}
    assert {"step", "undo"} <= said <= set(COMMANDS)
    assert not any(g.press and g.press.command == "end" for g in controls) or name == "foxglove"


def test_the_recipes_are_there_by_name_and_can_be_combined() -> None:
    assert {"pedal", "quest", "foxglove", "playstation", "keyboard", "teleop"} == set(SHIPPED)
    both = load_buttons("pedal, quest")
    assert both.joys == load_buttons("quest").joys and both.keys == load_buttons("pedal").keys
    assert load_buttons("") == Bindings()
    with pytest.raises(ConfigError, match="no buttons 'pedel'; did you mean 'pedal'"):
        load_buttons("pedel")


def test_two_files_that_bind_the_same_are_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("keys: {b: {press: end}}")
    with pytest.raises(ConfigError, match="key 'b' is bound by two button files"):
        load_buttons(f"pedal,{own}")
    own.write_text("joys: {joy: {buttons: {3: {press: end}}}}")
    with pytest.raises(ConfigError, match="topic 'joy' is bound by two button files"):
        load_buttons(f"playstation,{own}")
    assert load_buttons(str(own)).joys[0].controls[0].number == 3


def test_the_pedal_recipe_matches_pedals_and_no_keyboard() -> None:
    patterns = load_buttons("pedal").devices
    found = [
        name
        for name in (
            "/dev/input/by-id/usb-PCsensor_FootSwitch-event-kbd",
            "/dev/input/by-id/usb-RDing_FootSwitch1F1.-event-mouse",
            "/dev/input/by-id/usb-Logitech_USB_Receiver-event-kbd",
            "/dev/input/by-path/platform-i8042-serio-0-event-kbd",
        )
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    ]
    assert len(found) == 2 and all("Foot" in name for name in found)


def test_names_of_playstation_buttons_are_the_numbers_of_each_node() -> None:
    """By the README of `joy`, and by the order of the kernel's codes of hid-sony and hid-playstation."""
    by_game_controller, by_joy_node = (
        LAYOUTS[name].buttons for name in ("game_controller", "playstation_joy_node")
    )
    names = ("cross", "circle", "square", "triangle", "l1", "r1", "share", "options", "ps")
    assert [by_game_controller.index(name) for name in names] == [0, 1, 2, 3, 9, 10, 4, 6, 5]
    assert [by_joy_node.index(name) for name in names] == [0, 1, 3, 2, 4, 5, 8, 9, 10]


ERRORS = [
    ("keys: {b: {press: stpe}}", r":1: keys.b: 'press': 'stpe' .* did you mean 'step'"),
    ("keys: {b: {pres: step}}", r"unknown key 'pres'; did you mean 'press'"),
    ("keys: {b: {}}", r":1: keys.b: says nothing: add press"),
    ("keys: {b: step}", r"keys: 'b': expected a mapping"),
    ("keys: {spase: {press: step}}", r"unknown key 'spase'.*did you mean 'space'"),
    ("keys: {B: {press: step}}", r"write the key as b"),
    ("keys:\n  b: {press: {success: drop}}", r":2: .*only a failure has a cause"),
    ("keys: {b: {press: {failure: 'a b'}}}", r"cause 'a b' must be letters, digits and _"),
    ("keys: {b: {press: {failure: drop, end: x}}}", r"only a failure has a cause"),
    ("keys: {b: {press: {fail: drop}}}", r"unknown key 'fail'; did you mean 'failure'"),
    ("kyes: {}", r"unknown key 'kyes'; did you mean 'keys'"),
    ("{}", r"binds no button"),
    ("devices: [/dev/input/event3]\njoys: {joy: {buttons: {0: {press: step}}}}", r"add keys"),
    ("keys: {b: {press: step}}\ndevices: [event3]", r":2: 'devices': 'event3' is no path"),
    ("joys: {joy: {}}", r"joys.joy: binds no button"),
    ("joys: {joy: {buttons: {cross: {press: step}}}}", r"give its number; for names add layout"),
    ("joys: {joy: {layout: xbox, buttons: {}}}", r"'xbox' is not a known value"),
    ("joys: {joy: {layout: game_controller, buttons: {cros: {press: step}}}}", r"did you mean 'cross'"),
    ("joys: {joy: {layout: game_controller, buttons: {cross: {press: step}, 0: {press: end}}}}",
     r"'0' is number 0, which is bound already"),
    ("joys: {joy: {axes: {5: {press: step}}}}", r"unknown key 'press'"),
    ("joys: {joy: {axes: {5: {}}}}", r"add above: or below:"),
    ("joys: {joy: {axes: {5: {above: {value: x, press: step}}}}}", r"expected a number"),
    ("joys: {joy: {axes: {5: {above: {hysteresis: 0, press: step}}}}}", r"greater than 0"),
    ("joys: {'a b': {buttons: {0: {press: step}}}}", r"is not the name of a topic"),
    ("topics: {x: {type: std_msgs/msg/Empty, long: step}}", r"nobody can hold a std_msgs/msg/Empty"),
    ("topics: {x: {type: std_msgs/msg/Bol, press: step}}", r"did you mean 'std_msgs/msg/Bool'"),
    ("topics: {x: {press: step}}", r"'type' is missing"),
    ("timing: {long_ms: 30}\nkeys: {b: {press: step}}", r"long_ms must be greater than bounce_ms, 50"),
    ("timing: {bounce_ms: -1}\nkeys: {b: {press: step}}", r"must be greater than 0"),
    ("timing: {bounse_ms: 1}\nkeys: {b: {press: step}}", r"did you mean 'bounce_ms'"),
]  # fmt: skip


@pytest.mark.parametrize("text, pattern", ERRORS)
def test_a_mistake_is_named_with_its_line_and_the_fix(text: str, pattern: str) -> None:
    with pytest.raises(ConfigError, match=pattern) as error:
        parse_buttons(text, "mine.yaml")
    assert str(error.value).startswith("mine.yaml:")


@given(
    value=st.floats(-1, 1), above=st.booleans(), readings=st.lists(st.floats(-1, 1), max_size=20)
)
def test_an_axis_that_trembles_at_its_threshold_changes_once(
    value: float, above: bool, readings: list[float]
) -> None:
    threshold = AxisThreshold(value, above, 0.1)
    sign = 1 if above else -1
    pressed = threshold.pressed(value + sign * 0.001, None)
    assert pressed is True
    for reading in readings:
        pressed = threshold.pressed(value + sign * reading * 0.09, pressed)
        assert pressed is True
    assert threshold.pressed(value - sign * 0.11, pressed) is False
    assert threshold.pressed(float("nan"), True) is True
    assert threshold.pressed(float("nan"), None) is None
