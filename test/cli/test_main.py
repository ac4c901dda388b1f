"""The command line, run as its users run it, and on a machine without ROS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.samples import T0, wrench, write_bag, write_messages

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.catalogue.keeper import open_store
from robot_recorder.cli.main import main
from robot_recorder.episodes.facts import label_facts
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

NO_ROS = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rclpy", "rosbag2_py", "std_msgs", "builtin_interfaces", "ament_index_python") \\
                or name in ("robot_recorder.msg", "robot_recorder.srv"):
            raise ModuleNotFoundError(f"No module named {name!r} here", name=name)
sys.meta_path.insert(0, Refuse())
from robot_recorder.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two finished episodes and one that never was."""
    store = open_store(tmp_path / "root")
    for number, outcome in enumerate((Outcome.SUCCESS, Outcome.FAILURE)):
        id = f"arm_20260101T00000{number}_000_lift"
        partial = store.new_partial(id)
        messages = [("/wrist/wrench", wrench(T0 + i * 10**7), T0 + i * 10**7) for i in range(100)]
        write_bag(McapWriter(), partial, messages)
        events = [
            LabelEvent(T0, id, LabelKind.TASK, task="lift", instruction="Lift it."),
            LabelEvent(
                T0, id, LabelKind.OUTCOME, outcome=outcome, cause="" if number == 0 else "slip"
            ),
        ]
        facts = {
            "episode_id": id,
            "start_ns": str(T0),
            "stop_ns": str(T0 + 10**9),
            **label_facts(events),
        }
        store.finalise(partial, facts)
    (tmp_path / "root" / "died.partial").mkdir()
    return tmp_path / "root"


def run_without_ros(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", NO_ROS, *arguments], capture_output=True, text=True, cwd="/"
    )


def test_reading_listing_and_checking_need_no_ros(root: Path, tmp_path: Path) -> None:
    listed = run_without_ros("episodes", str(root))
    assert listed.returncode == 0, listed.stderr
    assert "arm_20260101T000000_000" in listed.stdout and "failure: slip" in listed.stdout
    assert "died.partial" in listed.stdout
    checked = run_without_ros("check", *map(str, open_store(root).paths()))
    assert checked.returncode == 0 and checked.stdout.count(": accept") == 2, checked
    shown = run_without_ros(
        "show", str(open_store(root).paths()[0]), "--out", str(tmp_path / "a.png")
    )
    assert shown.returncode == 0 and (tmp_path / "a.png").stat().st_size > 10_000, shown.stderr
    first = str(open_store(root).paths()[0])
    aligned = run_without_ros("align", first, "--rate", "50", "--out", str(tmp_path / "a.npz"))
    assert aligned.returncode == 0 and "at 50 Hz, 100.0% complete" in aligned.stdout, aligned.stderr
    profile = run_without_ros("profile", "check", "g1_sim")
    assert profile.returncode == 0 and "types not checked" in profile.stdout, profile.stderr


def test_facts_that_are_rubbish_are_named_and_hide_nothing(root: Path, capsys) -> None:
    for path, key in zip(open_store(root).paths(), ("sync", "start_ns")):
        metadata = path / "metadata.yaml"
        content = yaml.safe_load(metadata.read_text())
        content["rosbag2_bagfile_information"]["custom_data"][key] = "{rubbish: ["
        metadata.write_text(yaml.safe_dump(content))
        assert main(["certificate", str(path)]) == (2 if key == "sync" else 0)
        assert main(["episodes", str(root)]) == 0
        printed = capsys.readouterr()
        assert f"unreadable: {path}/metadata.yaml: '{key}' of custom_data" in printed.out
        assert "arm_20260101T000001_000" in printed.out or key == "start_ns"


def test_check_finds_a_broken_bag(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, broken = open_store(root).paths()
    data = next(broken.glob("*.mcap"))
    data.write_bytes(data.read_bytes()[:5000])
    assert main(["check", str(good), str(broken)]) == 1
    printed = capsys.readouterr().out
    assert f"{good}: accept" in printed and "metadata.yaml says 100" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "/nowhere"], "/nowhere does not exist: give a bag directory"),
        (["episodes", "/nowhere"], "/nowhere does not exist: give a bag directory"),
        (["show", "/"], "is not a bag"),
        (["profile", "check", "g2_sim"], "g1_sim"),
        (["profile", "check", "/nowhere.yaml"], "No such file"),
    ],
)
def test_errors_are_one_clear_line(arguments: list[str], words: str, capsys) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and error.count("\n") == 1


def test_profile_check_names_a_type_that_is_not_installed(tmp_path: Path, capsys) -> None:
    pytest.importorskip("std_msgs")
    path = tmp_path / "p.yaml"
    path.write_text(
        "robot: a\nstreams:\n  odd: {topic: odd, type: vendor_msgs/msg/Odd, role: context}\n"
    )
    assert main(["profile", "check", str(path)]) == 2
    assert "stream 'odd'" in (error := capsys.readouterr().err) and "vendor_msgs" in error


def test_the_shipped_configuration_is_valid() -> None:
    from robot_recorder.configuration.find import config_directory, load_profile, load_tasks
    from robot_recorder.sim.scenarios import TASKS

    profiles = list((config_directory() / "robots").glob("*.yaml"))
    assert len(profiles) >= 2
    for path in profiles:
        load_profile(str(path))
    assert set(TASKS) <= set(load_tasks().tasks)


def test_recover_makes_leftovers_whole_and_says_what_it_could_not(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = McapWriter()
    writer.open(root / "arm_killed.partial", {})
    write_messages(writer, [("/a", wrench(T0 + i), T0 + i) for i in range(10)])
    writer.sync()
    del writer  # as the end of its process would
    assert main(["recover", str(root)]) == 1
    out = capsys.readouterr().out
    assert "recovered arm_killed: 10 messages" in out and "1 of 2 leftovers recovered" in out
    assert "not recovered" in out and "no data file" in out and ".quarantine" in out
    assert main(["recover", str(root)]) == 0
    assert "0 of 0" in capsys.readouterr().out
    assert main(["episodes", str(root)]) == 0
    out = capsys.readouterr().out
    assert "arm_killed" in out and "not recoverable" in out
    assert main(["check", str(root / "arm_killed")]) == 1
    assert "recovered after a crash" in capsys.readouterr().out
    assert main(["recover", str(root / "nowhere")]) == 2


def test_the_trash_is_listed_and_given_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(root)
    first, second = store.paths()
    store.discard(first)
    assert main(["trash", str(root)]) == 0
    out = capsys.readouterr().out
    assert first.name in out and "1 discarded" in out and "kept until" in out
    assert main(["trash", str(root), "--restore", "nothing"]) == 2
    assert main(["trash", str(root), "--restore", first.name]) == 0
    assert store.paths() == [first, second] and not store.trashed()


def test_what_is_in_the_trash_is_deleted_by_name_and_nothing_else(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(root)
    first, second = (store.discard(path) for path in store.paths())
    assert main(["trash", str(root), "--delete", f"../{first.name}"]) == 2
    assert main(["trash", str(root), "--delete", first.name]) == 0
    assert str(first) in capsys.readouterr().out
    assert store.trashed() == [second]
    assert (root / "died.partial").is_dir()
