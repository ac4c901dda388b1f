"""The page for a headset in a real browser with an emulated one: what it measures arrives on the topics.

Holds also: nodes/teleop_status.py.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import chromium

pytest.importorskip("rclpy")
pytest.importorskip("fastapi")
pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python")
from support.emulated import EMULATOR, HeadsetTab, browser_with_webgl

if chromium() is None:
    pytest.skip("Chromium is not installed", allow_module_level=True)
if not EMULATOR.exists():
    pytest.skip("iwer is not installed: it needs npm", allow_module_level=True)

from argon2 import PasswordHasher
from geometry_msgs.msg import PoseStamped
from playwright.sync_api import Browser
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger
from support.console import Page
from support.console_floor import RATE_HZ, ConsoleFloor, QuietableBench, write_profile
from support.headset import LIFT_BOX
from support.real_time import in_real_time
from support.robot import RecorderClient

from robot_recorder.configuration.words import LANGUAGES
from robot_recorder.console.teleop_page import FRAME, HandsFeed
from robot_recorder.msg import Said
from robot_recorder.sim.model import JOINT_NAMES, build_model
from robot_recorder.sim.teleop import Drive
from robot_recorder.srv import PerformTask

POSES = {"head": "head", "left": "left_hand", "right": "right_hand"}


class HeadsetFloor(ConsoleFloor):
    """The bench's robot with recorder, operator and console, and an ear on what a headset says."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder, stack, "bench", profile=write_profile(folder / "bench.yaml"))
        self.bench = stack.enter_context(QuietableBench("bench"))
        self.poses: dict[str, list[PoseStamped]] = {part: [] for part in POSES}
        self.joys: dict[str, list[Joy]] = {"left": [], "right": []}
        listen, qos = self.bench.node.create_subscription, qos_profile_sensor_data
        for part, topic in POSES.items():
            listen(PoseStamped, f"teleop/{topic}", self.poses[part].append, qos)
        for side, heard in self.joys.items():
            listen(Joy, f"teleop/{side}_controller", heard.append, qos)
        self.status = self.bench.node.create_publisher(String, "teleop/status", 10)
        self.record(check=False)
        self.run("operator", tones=False)
        self.address = self.console()
        (folder / "users.yaml").write_text(
            json.dumps({"users": {name: {"role": role, "password": QUICK.hash(name)} for name, role in
                                  (("ann", "operator"), ("eve", "inspector"))}})
        )  # fmt: skip
        self.closed = self.console(users=folder / "users.yaml")
        self.bench.until("recorder and operator", lambda: self.bench.ready() and self.bench.shift, 40)  # fmt: skip

    def forget(self) -> None:
        for heard in (*self.poses.values(), *self.joys.values()):
            heard.clear()


pytestmark = pytest.mark.console

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser_with_webgl() as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadsetFloor]:
    with ExitStack() as stack:
        floor = HeadsetFloor(tmp_path_factory.mktemp("floor"), stack)
        yield floor
        floor.end()


@pytest.fixture
def floor(shared: HeadsetFloor) -> Iterator[HeadsetFloor]:
    with shared.bench.publishing(RATE_HZ):
        shared.forget()
        yield shared


@pytest.fixture
def tab(floor: HeadsetFloor, chrome: Browser) -> Iterator[HeadsetTab]:
    """The page with a headset; nothing may go wrong in its scripts."""
    with HeadsetTab(chrome, floor.address) as tab:
        yield tab.open()
        assert tab.problems == []


def position(message: PoseStamped) -> tuple[float, float, float]:
    at = message.pose.position
    return at.x, at.y, at.z


def test_poses_and_buttons_arrive_on_the_topics_x_ahead_y_left_z_up(
    floor: HeadsetFloor, tab: HeadsetTab
) -> None:
    tab.wear((0.0, 1.6, 0.0))
    tab.enter()
    tab.hold("right", (0.2, 1.1, -0.4), trigger=0.5, squeeze=1.0, lower=1.0)
    tab.hold("left", (-0.3, 1.2, -0.5), trigger=0.0, squeeze=0.0)
    wanted = pytest.approx((0.4, -0.2, 1.1), abs=1e-3)
    tab.until("the hand", lambda: floor.poses["right"] and position(floor.poses["right"][-1]) == wanted)  # fmt: skip
    left = pytest.approx((0.5, 0.3, 1.2), abs=1e-3)
    tab.until("the other hand", lambda: position(floor.poses["left"][-1]) == left)
    assert position(floor.poses["head"][-1]) == pytest.approx((0.0, 0.0, 1.6), abs=1e-3)
    pose = floor.poses["right"][-1]
    assert pose.header.frame_id == FRAME
    turn = pose.pose.orientation
    assert (turn.x, turn.y, turn.z, turn.w) == pytest.approx((0, 0, 0, 1), abs=1e-3)
    tab.until("the buttons", lambda: list(floor.joys["right"][-1].buttons) == [1, 0, 0])
    assert list(floor.joys["right"][-1].axes) == pytest.approx([0.5, 1.0], abs=1e-3)
    assert list(floor.joys["left"][-1].axes) == [0.0, 0.0]


def test_stamps_are_of_the_pages_own_clock_at_the_rate_of_the_display(
    floor: HeadsetFloor, tab: HeadsetTab
) -> None:
    tab.enter()
    tab.hold("right", (0.2, 1.1, -0.4))
    tab.until("some", lambda: len(floor.poses["right"]) > 60)
    stamps = [p.header.stamp.sec + p.header.stamp.nanosec / 1e9 for p in floor.poses["right"]]
    assert stamps == sorted(stamps) and stamps[-1] < 600, "since the page was opened"
    rate_hz = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    assert rate_hz > 1, "however slowly software draws on a busy machine"


def test_ahead_is_where_the_operator_looks_on_entering_and_below_is_the_floor(
    floor: HeadsetFloor, tab: HeadsetTab
) -> None:
    tab.wear((1.0, 1.5, 2.0), yaw_rad=math.pi / 2)  # to the left: browsers' -x is ahead
    tab.enter()
    tab.hold("left", (0.6, 1.0, 2.0))
    wanted = pytest.approx((0.4, 0.0, 1.0), abs=1e-3)
    tab.until("the hand", lambda: floor.poses["left"] and position(floor.poses["left"][-1]) == wanted)  # fmt: skip
    tab.hold("left", (1.0, 1.0, 2.3))
    wanted = pytest.approx((0.0, 0.3, 1.0), abs=1e-3)
    tab.until("its left", lambda: position(floor.poses["left"][-1]) == wanted)


def test_a_hand_whose_place_is_only_guessed_is_not_published(
    floor: HeadsetFloor, tab: HeadsetTab
) -> None:
    tab.enter()
    tab.hold("right", (0.2, 1.1, -0.4), squeeze=1.0)
    tab.until("poses", lambda: floor.poses["right"])
    tab.page.evaluate("window.guessed = true")

    def come_alone() -> bool:
        """Return whether buttons come without poses; some of those may be on their way yet."""
        if len(floor.joys["right"]) <= 5:
            return False
        alone = not floor.poses["right"]
        floor.forget()
        return alone

    tab.until("buttons without a place", come_alone)


def silent(floor: HeadsetFloor, tab: HeadsetTab) -> bool:
    """Return whether nothing is published for a while."""
    tab.page.wait_for_timeout(200)
    floor.forget()
    tab.page.wait_for_timeout(500)
    return not any((*floor.poses.values(), *floor.joys.values()))


def test_nothing_is_published_after_the_session_or_the_connection_ends(
    floor: HeadsetFloor, tab: HeadsetTab
) -> None:
    tab.hold("right", (0.2, 1.1, -0.4))
    assert silent(floor, tab), "nor before it begins"
    tab.enter()
    tab.until("poses", lambda: len(floor.poses["right"]) > 5)
    tab.leave()
    assert silent(floor, tab)
    tab.enter()
    tab.until("poses", lambda: floor.poses["right"])
    tab.page.reload()
    assert silent(floor, tab)


def test_only_who_has_the_buttons_moves_the_robot(
    floor: HeadsetFloor, tab: HeadsetTab, chrome: Browser
) -> None:
    tab.hold("right", (0.2, 1.1, -0.4))
    tab.enter()
    tab.until("poses", lambda: floor.poses["right"])
    with HeadsetTab(chrome, floor.address) as other:
        other.open()
        other.page.click("#take-over")
        other.page.click("#dialog-yes")
        other.until("the buttons", lambda: other.data("#holder", "holder") == "me")
        tab.until("their loss", lambda: tab.data("#holder", "holder") == "other")
        assert silent(floor, tab), "it is still in its session"
        other.hold("right", (0.1, 1.0, -0.3))
        other.enter()
        tab.until("other poses", lambda: floor.poses["right"])
        tab.leave()
        tab.page.click("#enter-vr")
        tab.page.click("#dialog-yes")  # one press, one question, and in
        tab.until("the session", lambda: tab.data("#vr-state", "vr") == "in")
        tab.until("the buttons", lambda: tab.data("#holder", "holder") == "me")
        assert tab.data("#answer", "answer") == "none", "the line at the top says who has them"
        assert other.problems == []


def test_who_takes_over_is_told_that_a_person_drives(
    floor: HeadsetFloor, tab: HeadsetTab, chrome: Browser
) -> None:
    tab.enter()
    told = {"hands": {"left": "follows", "right": "released"}, "latency_ms": {"p95": None}}
    with HeadsetTab(chrome, floor.address) as other:
        other.open()
        other.until("the holder", lambda: other.data("#holder", "holder") == "other")

        def follows() -> bool:
            floor.status.publish(String(data=json.dumps(told)))
            return other.data("#hand-left", "hand") == "follows"

        other.until("the status", follows)
        other.page.click("#take-over")
        other.until("the question", lambda: "drives the robot" in other.text("dialog"))
        other.key("Escape")
        assert other.data("#holder", "holder") == "other"


def test_a_page_that_lies_about_the_buttons_is_not_published(floor: HeadsetFloor) -> None:
    """The server asks, whatever a page thinks: by its websocket, without a browser."""
    frame = {"type": "hands", "t": 5.0, "head": [0, 0, 0, 0, 0, 0, 1], "left": None, "right": None}
    with Page(floor.address) as page, Page(floor.address) as other:
        assert other.post("/api/hold", take=True)[1]["ok"]
        floor.forget()
        page.tell(**frame)
        other.tell(**{**frame, "t": 7.0})
        end = time.monotonic() + 10
        while not floor.poses["head"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.3)
        assert [p.header.stamp.nanosec for p in floor.poses["head"]] == [7_000_000]
        assert other.post("/api/hold", take=False)[1]["ok"]


def test_an_inspector_may_only_look(floor: HeadsetFloor, chrome: Browser) -> None:
    with HeadsetTab(chrome, floor.closed) as eve:
        eve.open(ready="login")
        eve.page.fill("#login-name", "eve")
        eve.page.fill("#login-password", "eve")
        eve.key("Enter")
        eve.page.wait_for_selector("html[data-ready=yes]", state="attached")
        eve.until("the state", lambda: eve.data("#vr-state", "vr") == "only_looks")
        assert not eve.page.is_enabled("#enter-vr")


def test_without_a_headset_the_page_says_so(floor: HeadsetFloor, chrome: Browser) -> None:
    with HeadsetTab(chrome, floor.address, worn=False) as tab:
        tab.open()
        tab.until("the state", lambda: tab.data("#vr-state", "vr") == "none")
        assert not tab.page.is_enabled("#enter-vr") and "headset" in tab.text("#vr-state").lower()


def test_the_page_tells_what_the_robot_does_with_each_hand(
    floor: HeadsetFloor, tab: HeadsetTab
) -> None:
    assert tab.data("#hand-left", "hand") == "no_teleop"
    told = {"hands": {"left": "follows", "right": "lost"}, "latency_ms": {"p95": 12.3}}

    def tell() -> bool:
        floor.status.publish(String(data=json.dumps(told)))
        return tab.data("#hand-left", "hand") == "follows"

    tab.until("the status", tell)
    assert tab.data("#hand-right", "hand") == "lost" and "12" in tab.text("#teleop-latency")
    tab.until("its end", lambda: tab.data("#hand-left", "hand") == "no_teleop")
    for bad in ("", "[]", '{"hands": 5}', '{"hands": {"left": 1, "right": 2}, "latency_ms": {}}'):
        floor.status.publish(String(data=bad))
    tab.page.wait_for_timeout(300)
    assert tab.data("#hand-left", "hand") == "no_teleop"


def test_the_console_leads_to_the_page_while_teleop_runs(
    floor: HeadsetFloor, chrome: Browser
) -> None:
    told = {"hands": {"left": "unheard", "right": "unheard"}, "latency_ms": {"p95": None}}
    with HeadsetTab(chrome, floor.address, worn=False, width=1366, height=768) as tab:
        tab.page.goto(floor.address)
        tab.page.wait_for_selector("html[data-ready=yes]", state="attached")
        assert not tab.page.is_visible("#nav [data-page=teleop]")

        def followed() -> bool:
            floor.status.publish(String(data=json.dumps(told)))  # the link goes when this stops
            return bool(
                tab.page.evaluate("""() => {
              const link = document.querySelector("#nav [data-page=teleop]"), shown = link.checkVisibility();
              if (shown) link.click();
              return shown;
            }""")
            )

        tab.until("the link", followed)
        tab.page.wait_for_selector("#page-teleop")
        assert tab.problems == []


def test_the_headset_shows_the_camera_and_the_shift(floor: HeadsetFloor, tab: HeadsetTab) -> None:
    tab.enter()
    tab.page.wait_for_selector("#view[data-stamp-ms]", state="attached")
    before = tab.data("#view", "stamp-ms")
    tab.until("the next picture", lambda: tab.data("#view", "stamp-ms") != before)
    drawn = tab.page.evaluate("""() => {
      const {width, height} = document.querySelector("#view");
      const data = document.querySelector("#view").getContext("2d").getImageData(0, 0, width, height).data;
      return data.some((value, n) => n % 4 < 3 && value > 150);
    }""")
    assert drawn


SAID_ROWS = """() => {
    const view = document.querySelector("#view"), {width, height} = view, rows = [];
    const copy = Object.assign(document.createElement("canvas"), {width, height});
    const context = copy.getContext("2d", {willReadFrequently: true});
    context.drawImage(view, 0, 0);
    for (const y of [height - 90, height - 60]) {
        const pixels = context.getImageData(0, y, width, 30).data;
        rows.push(pixels.some((value, at) => at % 4 === 0 && value > 200));
    }
    return rows;
}"""


def test_what_is_said_is_read_in_the_headset(floor: HeadsetFloor, tab: HeadsetTab) -> None:
    """A refused start and a rejected take are not only heard."""
    said = floor.bench.node.create_publisher(Said, "shift/said", 50)
    tab.enter()
    tab.until("the console", lambda: said.get_subscription_count() > 0)
    assert tab.page.evaluate(SAID_ROWS) == [False, False]

    def is_read(event: str, why: str, rows: list[bool]) -> None:
        said.publish(Said(event=event, names=["why"], values=[why]))
        tab.until("it", lambda: why.strip() in tab.text("#teleop-told"))
        tab.until("it in the headset", lambda: tab.page.evaluate(SAID_ROWS) == rows)

    is_read("refused", "head_camera is too slow", [True, False])
    is_read("reject", "joint_states is too slow: check its driver and the network " * 5, [True] * 2)
    is_read("refused", "关节状态太慢请检查驱动程序和网络" * 9, [True] * 2)
    said.publish(Said(event="start"))
    tab.until("news", lambda: tab.text("#teleop-told") == "")
    floor.bench.node.destroy_publisher(said)


def test_the_page_has_no_faults_in_any_language(floor: HeadsetFloor, tab: HeadsetTab) -> None:
    for language in LANGUAGES:
        tab.speak(language)
        tab.until("the state", lambda: tab.data("#vr-state", "vr") == "ready")
        assert tab.violations() == []
        texts = tab.page.locator("[data-word]:visible").all_inner_texts()
        assert texts and not any(text.startswith(("teleop.", "nav.")) for text in texts)


# -- with the simulated robot


class DrivenFloor(ConsoleFloor):
    """The simulated robot, teleop and a console; nothing that records, for a machine of two cores."""

    def __init__(self, folder: Path, stack: ExitStack, cache: Path) -> None:
        super().__init__(folder, stack, profile="g1_teleop")
        self.client = stack.enter_context(RecorderClient("whoever_looks"))
        self._drive = Drive(build_model(cache))
        self._commands: list[JointState] = []
        listen = self.client.node.create_subscription
        listen(JointState, "joint_commands", self._commands.append, 1)
        self.run("sim_robot", cache=cache, cameras="none")
        self.run("teleop", cache=cache)
        self.address = self.console()

    def palms(self) -> dict[str, np.ndarray]:
        """Return where the palms are commanded to be, float64[3] each, in m."""
        self._commands.clear()
        self.client.wait("the robot", lambda: bool(self._commands), 60)
        angles = dict(zip(self._commands[-1].name, self._commands[-1].position))
        self._drive.joints = np.array([angles[name] for name in JOINT_NAMES])
        return {side: pose.position_m for side, pose in self._drive.palms().items()}

    def clean(self) -> None:
        """Put robot and box back; the box of seed 0 is neither slippery nor heavy."""
        fields = {"task": "lift_box", "seed": 0, "only_reset": True}
        assert self.client.call(PerformTask, "sim/perform", **fields).success

    def judged(self) -> Any:
        """Return how the attempt went by the physics."""
        return self.client.call(Trigger, "sim/judge")


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[DrivenFloor]:
    with ExitStack() as stack:
        floor = DrivenFloor(tmp_path_factory.mktemp("driven"), stack, model_cache)
        yield floor
        floor.end()


def both(tab: HeadsetTab, **buttons: float) -> None:
    """Press or release buttons of both controllers."""
    for side in ("left", "right"):
        tab.press_buttons(side, **buttons)


def clutch(tab: HeadsetTab) -> None:
    """Make both hands follow: release the grips and press them again until they do."""

    def follow() -> bool:
        return all(tab.data(f"#hand-{side}", "hand") == "follows" for side in ("left", "right"))

    def again() -> bool:
        both(tab, squeeze=0.0)
        tab.move({}, 0.3)
        both(tab, squeeze=1.0)
        tab.move({}, 0.4)
        return follow()

    if not follow():
        tab.until("the clutch", again, 60)


def bring(
    tab: HeadsetTab, driven: DrivenFloor, wanted: dict[str, np.ndarray], seconds: float
) -> None:
    """Move both palms somewhere, as a person who looks: a busy machine may lose them on the way."""
    for _ in range(20):
        palms = driven.palms()
        ways = {side: wanted[side] - palms[side] for side in wanted}
        if max(float(np.linalg.norm(way)) for way in ways.values()) < 0.006:
            return
        clutch(tab)
        tab.move({side: tuple(way.tolist()) for side, way in ways.items()}, seconds)
        tab.move({}, 0.3)
        seconds = 0.4
    raise AssertionError(f"the palms are {ways} away: {tab.text('#hands')}")


def lift(tab: HeadsetTab, driven: DrivenFloor) -> None:
    """Lift the box and set it down."""
    clutch(tab)
    for trigger in (1.0, 0.0):  # the trigger takes the fingers over, and opens them
        both(tab, trigger=trigger)
        tab.move({}, 0.7)
    wanted = driven.palms()
    for _, seconds, (x, out, z) in LIFT_BOX:
        for side, sign in (("left", 1), ("right", -1)):
            wanted[side] = wanted[side] + (x, sign * out, z)
        bring(tab, driven, wanted, seconds)
        tab.move({}, 0.3 if seconds < 1.5 else 1.0)


@in_real_time
def test_a_whole_box_is_lifted_by_poses_alone(driven: DrivenFloor, chrome: Browser) -> None:
    with HeadsetTab(chrome, driven.address, width=400, height=300) as tab:
        tab.open().enter()
        tab.hold("left", (-0.2, 1.2, -0.4), lower=1.0)
        tab.hold("right", (0.2, 1.2, -0.4), lower=1.0)
        told = []
        for _ in range(3):  # hands that are lost while they press tip the box
            lift(tab, driven)
            judged = driven.judged()
            if judged.success:
                break
            told.append(judged.message)
            driven.clean()
        else:
            raise AssertionError(told)
        assert tab.problems == []


# -- what comes from a page


@pytest.fixture(scope="module")
def feed() -> Iterator[HandsFeed]:
    with QuietableBench("feed") as bench:
        yield HandsFeed(bench.node, lambda: None)


GOOD = {"t": 1.0, "head": None, "left": None, "right": None}
HAND = {"pose": [0, 1, 0, 0, 0, 0, 1], "axes": [0, 1], "buttons": [True, False, False]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"t": -1}, {"t": "1"}, {"t": math.nan}, {"t": 1e15}, {"t": True}, {"head": [0] * 6},
        {"head": [math.inf, 0, 0, 0, 0, 0, 1]}, {"head": "abcdefg"}, {"head": [1e9] * 7},
        {"left": []}, {"left": 5}, {"left": {**HAND, "axes": [0]}}, {"right": {**HAND, "axes": [0, 7]}},
        {"right": {**HAND, "buttons": None}}, {"right": {**HAND, "buttons": [1] * 99}},
        {"right": {"pose": None}},
    ],
)  # fmt: skip
def test_frames_that_are_none_are_refused(feed: HandsFeed, wrong: dict[str, Any]) -> None:
    feed.publish({**GOOD, "left": HAND})
    with pytest.raises((ValueError, KeyError, TypeError)):
        feed.publish({**GOOD, **wrong})
