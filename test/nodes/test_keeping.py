"""Episodes are safe from callers, other users, full disks and a second recorder; with real nodes."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.disks import small_disk
from support.others import GRAB, another
from support.robot import Bench, process

pytest.importorskip("rclpy")

from sensor_msgs.msg import CompressedImage

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.trash import TRASH
from robot_recorder.floor.store import open_store
from robot_recorder.srv import DiscardEpisode, RestoreEpisode, StartEpisode


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keeping") / "root"


@pytest.fixture(scope="module")
def bench(profile: Path, root: Path) -> Iterator[Bench]:
    with (
        Bench("keeping") as bench,
        process("record", "keeping", profile=profile, root=root, trash_max_gb=0.0),
    ):
        bench.publish_until("all streams", bench.ready)
        yield bench


def record(bench: Bench) -> Episode:
    bench.start()
    bench.publish_for(0.3)
    stopped = bench.stop()
    assert stopped.success, stopped.message
    return Episode.open(Path(stopped.path))


@pytest.mark.parametrize("id", ["x/../../outside", "../victim", "/etc", "..", "x" * 240])
def test_an_id_cannot_lead_out_of_the_root(bench: Bench, root: Path, id: str) -> None:
    before = sorted(p.name for p in root.parent.iterdir())
    for kind, name, fields in (
        (DiscardEpisode, "discard_episode", {"episode_id": id}),
        (RestoreEpisode, "restore_episode", {"episode_id": id}),
        (StartEpisode, "start_episode", {"task": id, "force": True}),
    ):
        answer = bench.call(kind, f"recorder/{name}", **fields)
        assert not answer.success and answer.message, name
    assert sorted(p.name for p in root.parent.iterdir()) == before


def test_discarding_tells_the_retention_and_is_refused_the_second_time(
    bench: Bench, root: Path
) -> None:
    episode = record(bench)
    gone = bench.call(DiscardEpisode, "recorder/discard_episode")
    assert gone.success and "can be restored at least until 20" in gone.message
    for id in ("", episode.id):
        again = bench.call(DiscardEpisode, "recorder/discard_episode", episode_id=id)
        assert (
            not again.success and "trash" in again.message
        ) or "no episode to discard" in again.message
    assert [p.name for p in open_store(root).trashed()] == [episode.id]
    # a trash that is too large is reported and kept
    bench.wait("the warning", lambda: any("trash_max_gb" in w for w in bench.status.warnings))
    started = bench.call(StartEpisode, "recorder/start_episode", force=True)
    assert started.success and "--delete" in started.message
    bench.stop()
    # an episode of another robot, discarded later, is not restored instead
    other = open_store(root)
    stranger = shutil.copytree(root / TRASH / episode.id, root / "r2_20300101T000000_000")
    (Path(stranger) / "discarded.json").unlink()
    text = (Path(stranger) / "metadata.yaml").read_text()
    (Path(stranger) / "metadata.yaml").write_text(text.replace("robot: keeping", "robot: r2"))
    other.discard(Path(stranger))
    back = bench.call(RestoreEpisode, "recorder/restore_episode")
    assert back.success and back.episode_id == episode.id and back.path == str(root / episode.id)
    assert not bench.call(RestoreEpisode, "recorder/restore_episode").success
    named = bench.call(
        RestoreEpisode, "recorder/restore_episode", episode_id="r2_20300101T000000_000"
    )
    assert named.success


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_a_reader_cannot_block_the_services(bench: Bench, root: Path) -> None:
    record(bench)
    for folder in (root, *root.parents[:4]):
        folder.chmod(folder.stat().st_mode | 0o055)
    with another(GRAB, root):
        began = time.monotonic()
        record(bench)
        assert bench.call(DiscardEpisode, "recorder/discard_episode").success
        assert time.monotonic() - began < 10


@pytest.mark.alone
def test_a_process_without_free_file_descriptors_saves_the_episode_and_reports_it(
    bench: Bench,
) -> None:
    bench.start()
    bench.publish_for(0.5)
    (pid,) = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _is_recorder(p)]
    most = max(int(name) for name in os.listdir(f"/proc/{pid}/fd")) + 1
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        stopped = bench.stop()
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert stopped.success and stopped.size_bytes > 0, stopped.message
    assert Episode.open(Path(stopped.path)).metadata["message_count"] == stopped.messages


def _is_recorder(process: Path) -> bool:
    try:
        line = (process / "cmdline").read_bytes()
    except OSError:
        return False
    return b"__ns:=/keeping" in line and b"/record\0" in line


def test_the_file_mode_is_a_parameter(profile: Path, tmp_path: Path) -> None:
    parameters = {"profile": profile, "root": tmp_path / "episodes", "file_mode": "'0600'"}
    before = os.umask(0)
    try:
        with Bench("mode") as bench, process("record", "mode", **parameters):  # type: ignore[arg-type]
            bench.publish_until("all streams", bench.ready)
            path = record(bench).path
    finally:
        os.umask(before)
    for item in path.rglob("*"):
        assert stat.S_IMODE(item.stat().st_mode) == 0o600, item
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with process("recorder", "mode", **{**parameters, "file_mode": "'0999'"}) as running:  # type: ignore[arg-type]
        output, _ = running.communicate(timeout=30)
    assert running.returncode == 2 and "file_mode" in output and "Traceback" not in output


def test_a_second_recorder_of_a_robot_is_refused_until_the_first_ends(
    profile: Path, tmp_path: Path
) -> None:
    """Two namespaces give the same robot name, so that each recorder can be called separately."""
    parameters = {"profile": profile, "root": tmp_path}
    with (
        Bench("two_arms") as one, Bench("two/arms") as two,
        process("recorder", "two_arms", **parameters) as first,  # type: ignore[arg-type]
    ):  # fmt: skip
        one.publish_until("all streams", one.ready)
        record(one)
        with process("recorder", "two/arms", **parameters):  # type: ignore[arg-type]
            two.publish_until("all streams", two.ready)
            holder = f"process {first.pid} on"
            two.wait("the warning", lambda: any(holder in w for w in two.status.warnings))
            refused = two.call(StartEpisode, "recorder/start_episode", force=True)
            assert not refused.success and holder in refused.message
            assert "second_recorder" in refused.message
            assert record(one).id, "the first recorder goes on"
            first.send_signal(signal.SIGKILL)
            first.wait(20)
            two.wait("the end of the warning", lambda: not two.status.warnings)
            assert record(two).facts["robot"] == "two_arms"


def test_the_reserve_of_the_disk_is_not_used(profile: Path, tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "8m") as disk, Bench("reserve") as bench,
        process("recorder", "reserve", profile=profile, root=disk, min_free_mb=5, max_episode_s=60.0),
    ):  # fmt: skip
        bench.publish_until("all streams", bench.ready)
        bench.start()
        camera = bench.publishers["/camera/image/compressed"][0]
        image = CompressedImage(format="jpeg", data=bytes(40_000))
        end = time.monotonic() + 30
        while bench.status.state == 1:
            assert time.monotonic() < end
            bench.publish_for(0.1)
            bench.publish_message(camera, "/camera/image/compressed", image)
        bench.publish_until("the end", lambda: bench.status.state == 0)
        (path,) = open_store(disk).paths()
        assert Episode.open(path).facts["stop_reason"] == "disk_full"
        assert shutil.disk_usage(disk).free >= 5_000_000
        (disk / "ballast").write_bytes(bytes(max(0, shutil.disk_usage(disk).free - 5_000_000)))
        before = shutil.disk_usage(disk).free
        refused = bench.call(StartEpisode, "recorder/start_episode", force=True)
        assert not refused.success and "min_free_mb" in refused.message
        assert shutil.disk_usage(disk).free >= before - 100_000
