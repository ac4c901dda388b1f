"""What programs import before they are ready: importing is most of their start, and a robot may have only ROS 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.episodes import make_episode

from robot_recorder.episodes.store import EpisodeStore

# Of others: not there on a robot, or slow.
LIBRARIES = {
    "PIL", "av", "cv2", "fastapi", "matplotlib", "mcap", "mujoco", "pyarrow", "rerun", "rich", "rosbags",
    "scipy", "zstandard",
}  # fmt: skip
# Of Python, each several milliseconds of CPU.
SLOW = {
    "asyncio", "concurrent.futures.process", "decimal", "difflib", "importlib.metadata", "multiprocessing",
    "subprocess", "xml.etree",
}  # fmt: skip
# Of this package: what only episodes need.
LATER = {
    f"robot_recorder.{name}"
    for name in (
        "bags.bag", "bags.mcap_writer", "catalogue.catalogue", "configuration.buttons", "encoding.worker",
        "episodes.recovery", "quality.checks.check", "quality.inspector", "recorder.recording",
        "recorder.sure_failures",
    )
}  # fmt: skip


def python(code: str) -> str:
    """Run code in a new interpreter; return the last line that it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done
    return done.stdout.strip().rpartition("\n")[2]


def imported(code: str, unwanted: set[str]) -> str:
    """Run code in a new interpreter; return which of the unwanted modules it imported, as a list."""
    return python(f"{code}\nimport sys\nprint(sorted({unwanted} & set(sys.modules)))")


def test_recording_imports_only_ros_and_numpy_and_what_it_needs_to_answer_and_to_listen() -> None:
    pytest.importorskip("rclpy")
    unwanted = LIBRARIES | SLOW | LATER | {"sqlite3"}
    assert imported("import robot_recorder.nodes.record", unwanted) == "[]"


def test_a_node_does_without_the_generator_of_messages() -> None:
    pytest.importorskip("rclpy")
    code = (
        "from robot_recorder.messages.installed_types import load_without_generator\n"
        "load_without_generator()\n"
        "import rclpy\nfrom robot_recorder.msg import EpisodeStatus\nrclpy.init()\n"
        "rclpy.create_node('one').create_publisher(EpisodeStatus, 'status', 1).publish(EpisodeStatus())\n"
    )
    assert imported(code, {"lark", "rosidl_parser.parser"}) == "[]"
    # Whoever asks for it later still gets it.
    assert (
        python(
            f"{code}\nimport rosidl_generator_py.generate_py_impl as g\nprint(callable(g.generate_py))"
        )
        == "True"
    )


@pytest.mark.parametrize("command", ["record", "synchronizer", "labeller", "robot-recorder"])
def test_a_process_that_a_program_spawns_imports_nothing_of_it(command: str) -> None:
    """Python runs the program's file there, too, under another name."""
    pytest.importorskip("rclpy")
    code = (
        "import runpy\nfrom robot_recorder.configuration.find import installed_program\n"
        f"path = installed_program('record').with_name({command!r})\n"
        "path = path if path.exists() else path.parents[2] / 'bin' / path.name\n"
        "runpy.run_path(str(path), run_name='__mp_main__')"
    )
    assert imported(code, {"rclpy", "robot_recorder.cli.main", "robot_recorder.nodes"}) == "[]"


def test_episodes_imports_what_a_table_needs(tmp_path: Path) -> None:
    make_episode(EpisodeStore(tmp_path))
    code = (
        "from robot_recorder.cli.main import main\n"
        f"assert main(['episodes', {str(tmp_path)!r}]) == 0\n"
    )
    python(code)  # reads the episode into the catalogue
    unwanted = (
        (LIBRARIES - {"rich"}) | SLOW | {"numpy", "rich.progress", "robot_recorder.bags.bag"}
    ) - {"decimal"}
    assert imported(code, unwanted) == "[]"


PREPARED = """
import sys, time
from pathlib import Path
from robot_recorder.bags.writer import writer_factory
from robot_recorder.clocks.robot_clock import RobotClock
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.topics import BagTopic, Channel
from robot_recorder.recorder.own_channels import OwnChannels
from robot_recorder.recorder.recorder import Assignment, Recorder, Settings

streams = "streams: {joints: {topic: joints, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 9}}"
channels = [Channel(BagTopic(f"/{name}", "robot_recorder/msg/Label")) for name in "abcd"]
own = OwnChannels(*channels, *[lambda event: bytes(4)] * 3)
recorder = Recorder(
    "arm", parse_profile("robot: arm\\n" + streams, "arm.yaml"), EpisodeStore(Path(sys.argv[1])),
    Settings(writer_factory("mcap")), RobotClock(), own,
)
recorder.prepare()
before = set(sys.modules)
now = time.time_ns()
assert recorder.start(Assignment(), True, now).ok
started = set(sys.modules) - before
assert recorder.stop_and_finalise(now + 10**9, lambda: True).ok
print(sorted(started), sorted(m for m in set(sys.modules) - before if m.startswith("robot_recorder")))
"""


def test_a_prepared_recorder_imports_nothing_for_its_first_episode(tmp_path: Path) -> None:
    code = f"import sys\nsys.argv = ['', {str(tmp_path)!r}]\n{PREPARED}"
    assert python(code) == "[] []"
