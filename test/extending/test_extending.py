"""docs/extending.md, followed: its files are written, installed as a package beside this one, and used."""

from __future__ import annotations

import csv
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support.bags import HEADER, PROFILE, header, small_robot
from support.dataset_takes import TakeOptions, take
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
GRIPPER = "floor_msgs/msg/Gripper"


def files_of_the_page() -> dict[str, str]:
    """The code blocks that begin with a comment naming their file."""
    blocks = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return dict(blocks)


def install(folder: Path, files: dict[str, str], more: str = "") -> Path:
    """Put files into a folder with the entry points that their pyproject.toml names, as pip would."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "floor_pack" / "__init__.py").write_text("")
    info = folder / "floor_pack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: floor_pack\nVersion: 1.0\n")
    groups = re.findall(
        r'\[project\.entry-points\."([\w.]+)"\]\n(.*?)(?=\n\[|\Z)', files["pyproject.toml"], re.S
    )
    points = "".join(f"[{name}]\n{lines.strip().replace(chr(34), '')}\n" for name, lines in groups)
    (info / "entry_points.txt").write_text(points + more)
    return folder


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line, with a folder of packages beside this one."""
    code = "import sys; from robot_recorder.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("floor"), files_of_the_page())


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a gripper that closes to nothing for a tenth of a second."""
    path = tmp_path_factory.mktemp("bags") / "gripper"
    writer = McapWriter()
    writer.open(path, {})
    definition = HEADER + "float64 width\nfloat64 force\n"
    channel = Channel(BagTopic("/gripper", GRIPPER, (OfferedQos(),), "", definition))
    writer.add_topic(channel)
    samples = []
    for number in range(300):
        at = T0 + number * 10_000_000
        width = 0.0 if 100 <= number < 110 else 0.02 + number * 1e-5
        body = header(at)
        body += bytes(-len(body) % 8) + struct.pack("<2d", width, number * 0.1)
        samples.append(Sample(channel, b"\0\1\0\0" + body, at, at))
    writer.write(samples)
    writer.close()
    return path


def test_the_page_lists_at_most_six_steps_for_each() -> None:
    parts = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    assert len(parts) == 7
    for part in parts:
        steps = re.findall(r"^\d+\. ", part, re.MULTILINE)
        assert 2 < len(steps) <= 6, part.splitlines()[0]


def test_a_message_type_is_decoded_and_its_check_rejects(floor: Path, bag: Path) -> None:
    done = run(floor, "check", bag, "--json")
    (found,) = json.loads(done.stdout) if done.stdout.startswith("[") else [json.loads(done.stdout)]
    assert not done.stderr, done.stderr
    (slip,) = [f for f in found["findings"] if f["check"] == "grip_slipped"]
    assert (slip["figure"], slip["level"], slip["stream"]) == (10, "warn", "gripper")
    assert slip["sentence"] == "was closed to nothing in 10 samples: look at the fingers' pads"
    assert {"not_a_number", "frozen"} <= found["passed"].keys()


def test_a_profile_changes_the_threshold_of_an_installed_check(floor: Path, bag: Path) -> None:
    profile = floor / "gripper.yaml"
    stream = f"gripper: {{topic: gripper, type: {GRIPPER}, role: observation, rate_hz: 100,"
    text = f"robot: arm\nstreams:\n  {stream} quality: {{grip_slipped: {{fail: 5}}}}}}\n"
    profile.write_text(text)
    assert "no such check" not in run(floor, "profile", "check", profile).stderr
    done = run(floor, "check", bag, "--profile", profile)
    assert "reject" in done.stdout, done
    assert "fail grip_slipped gripper: was closed to nothing in 10 samples" in done.stdout, done
    elsewhere = run(bag.parent, "profile", "check", profile)
    assert elsewhere.returncode != 0 and "there is no such check" in elsewhere.stderr


def test_an_exporter_writes_the_frames(floor: Path, tmp_path: Path) -> None:
    small = small_robot(tmp_path / "bag", 3, profile_yaml=PROFILE)
    target = tmp_path / "frames.csv"
    done = run(floor, "align", small, "--out", target)
    assert done.returncode == 0, done.stderr
    with open(target, newline="") as file:
        heads, *rows = csv.reader(file)
    assert heads[:2] == ["tick_ns", "joints position/joint_0 (rad)"] and len(rows) > 50
    assert {len(row) for row in rows} == {len(heads)}


def test_a_format_writes_a_dataset(floor: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    pytest.importorskip("pyarrow")
    take(tmp_path / "episodes", 0, TakeOptions(seconds=1.0))
    done = run(
        floor, "export", tmp_path / "episodes", "--format", "lines", "--out", tmp_path / "set"
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    rows = [json.loads(row) for row in (tmp_path / "set" / "shard-000000.jsonl").open()]
    assert len(rows) > 15 and len(rows[0]["observation.state"]) == 2
    assert json.loads((tmp_path / "set" / "episodes.json").read_text()) == {
        "0": {"outcome": "success"}
    }


def test_a_writer_records(floor: Path, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from robot_recorder.bags.writer import writer_factory
writer = writer_factory("mirrored")()
writer.open(Path(sys.argv[1]), {})
writer.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bag")], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(floor)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "journal.txt").read_text() == "closed\n"
    assert (tmp_path / "bag" / "metadata.yaml").is_file()


def test_a_command_is_listed_and_runs(floor: Path, tmp_path: Path) -> None:
    make_episode(EpisodeStore(tmp_path))
    assert "count the episodes below a root" in run(floor, "--help").stdout
    assert run(floor, "count", tmp_path).stdout == "1\n"


def test_what_cannot_be_loaded_is_named_and_costs_nothing(tmp_path: Path, bag: Path) -> None:
    broken = {
        "robot_recorder.kinds": "odd = floor_pack.kinds:decode_gripper\n",
        "robot_recorder.checks": "gone = floor_pack.nowhere:Check\nodd_check = floor_pack.kinds:KINDS\n",
        "robot_recorder.exporters": "npz = floor_pack.exporters:write_csv\n",
        "robot_recorder.commands": "check = floor_pack.commands:COMMAND\n",
    }
    files = files_of_the_page()
    files["pyproject.toml"] = ""
    points = "".join(f"[{group}]\n{lines}" for group, lines in broken.items())
    folder = install(tmp_path / "floor", files, points)
    done = run(folder, "check", bag, "--json")
    found = json.loads(done.stdout)
    found = found[0] if isinstance(found, list) else found
    broken_text = " ".join(found["broken"])
    assert "floor_pack.nowhere" in broken_text and "'odd_check' is not a Check" in broken_text
    assert "'odd' is ignored: it must be a mapping" in done.stderr
    assert run(folder, "align", bag, "--out", tmp_path / "a.npz").returncode == 0
    assert "'check' is left out" in run(folder, "--help").stderr
