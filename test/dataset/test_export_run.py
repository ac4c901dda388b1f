"""Exports as a whole: resumed, updated, reproduced, and never seen half.

Holds also: jobs.py, lock.py, pool.py, preparation.py, settings.py, swap.py, update.py, dataset/verify/dataset.py, workspace.py.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.dataset_takes import TakeOptions, take
from support.exported import export, tree

pa = pytest.importorskip("pyarrow")
pytest.importorskip("av")
import pyarrow.parquet as pq

from robot_recorder.dataset import jobs, pool
from robot_recorder.dataset.export_run import ExportRun
from robot_recorder.dataset.formats.table import formats
from robot_recorder.dataset.lock import LOCK, difference, read_lock
from robot_recorder.dataset.pool import ExportJob, JobProgress, LocalPool
from robot_recorder.dataset.settings import ExportSettings
from robot_recorder.dataset.swap import put_in_place
from robot_recorder.dataset.trimming import Held
from robot_recorder.dataset.verify.dataset import locked_files, verify_dataset
from robot_recorder.model.errors import ConfigError, RecorderError

SHORT = TakeOptions(seconds=1.2)


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    return [take(root, n, SHORT, task="lift" if n % 2 else "fold") for n in range(5)]


def rows(root: Path) -> Any:
    return pa.concat_tables([pq.read_table(p) for p in sorted((root / "data").rglob("*.parquet"))])


def checked(root: Path) -> None:
    """Check that a dataset is numbered through and sound."""
    table = rows(root)
    assert table["index"].to_pylist() == list(range(len(table)))
    assert not verify_dataset(root, thorough=True)


@pytest.mark.parametrize("shard_bytes", [100_000_000, 60_000])
def test_the_same_lock_gives_the_same_bytes_with_any_number_of_workers(
    takes: list[Path], tmp_path: Path, shard_bytes: int
) -> None:
    for workers in (1, 3):
        export(tmp_path / f"{workers}" / "set", takes, workers, shard_bytes=shard_bytes)
    one, three = (tree(tmp_path / n / "set") for n in "13")
    assert one.keys() == three.keys() and all(one[name] == three[name] for name in one)
    checked(tmp_path / "3" / "set")
    assert sum(name.startswith("data/") for name in one) == (1 if shard_bytes > 1e6 else 5)


def test_every_file_is_in_the_lock_with_its_hash(takes: list[Path], tmp_path: Path) -> None:
    report = export(tmp_path / "set", takes[:2])
    inside = {n for n in tree(tmp_path / "set") if not n.startswith(".export/") and n != LOCK}
    assert set(report.lock.files) == inside
    assert not locked_files(tmp_path / "set")
    victim = tmp_path / "set" / "meta" / "info.json"
    victim.write_bytes(victim.read_bytes().replace(b"arm", b"leg"))
    (found,) = locked_files(tmp_path / "set")
    assert found.where == "meta/info.json" and "other content" in found.what


def test_new_episodes_are_added_as_new_shards_and_old_files_stay(
    takes: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / "set"
    export(target, takes[:3], shard_bytes=60_000)
    before = {p.name: p.stat().st_ino for p in (target / "data").rglob("*.parquet")}
    report = export(target, takes, shard_bytes=60_000, old=read_lock(target))
    after = {p.name: p.stat().st_ino for p in (target / "data").rglob("*.parquet")}
    assert report.reused == 3 and len(after) == 5
    assert before.items() <= after.items(), "files of old shards are not even copied"
    checked(target)
    assert not (tmp_path / "set.partial").exists()


def test_an_update_takes_out_what_was_relabelled_and_numbers_the_rest_through(
    takes: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / "set"
    old = export(target, takes, shard_bytes=60_000).lock
    kept = [takes[0], *takes[2:]]
    run = ExportRun(target, ExportSettings(shard_bytes=60_000), LocalPool(1))
    report = run.run(kept, {str(takes[1]): "failure: slip"}, {}, read_lock(target))
    assert report.reused == 4 and report.episodes == 4
    checked(target)
    told = difference(old, read_lock(target))
    assert told.removed == {str(takes[1]): "failure: slip"} and not told.added and not told.changed
    fresh = export(tmp_path / "fresh", kept, shard_bytes=60_000)
    assert rows(target).select(["index", "observation.state"]) == rows(fresh.target).select(
        ["index", "observation.state"]
    )


@pytest.mark.parametrize("name", sorted(formats()))
def test_an_update_of_any_format_is_what_a_fresh_export_is(
    takes: list[Path], tmp_path: Path, name: str
) -> None:
    try:
        old = export(tmp_path / "set", takes[:4], format=name, shard_bytes=60_000).lock
    except ConfigError as error:
        pytest.skip(str(error))  # a library is missing
    paths = [takes[0], *takes[2:]]
    export(tmp_path / "set", paths, format=name, shard_bytes=60_000, old=old)
    assert not verify_dataset(tmp_path / "set", thorough=True)
    fresh = export(tmp_path / "fresh", paths, format=name, shard_bytes=60_000)
    assert fresh.lock.files.keys() and fresh.episodes == 4
    inside = tree(tmp_path / "set")
    written = {n for n in inside if not n.startswith(".export/shards/")} - {LOCK}
    assert written == set(read_lock(tmp_path / "set").files)


def test_a_shard_that_loses_an_episode_is_written_anew(takes: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "set"
    export(target, takes)
    report = export(target, takes[:2] + takes[3:], old=read_lock(target))
    assert (report.reused, report.episodes) == (0, 4)
    checked(target)


def test_an_episode_whose_labels_changed_is_exported_anew(tmp_path: Path) -> None:
    paths = [take(tmp_path / "root", n, SHORT) for n in range(3)]
    target = tmp_path / "set"
    export(target, paths, shard_bytes=60_000)
    text = (paths[1] / "metadata.yaml").read_text()
    (paths[1] / "metadata.yaml").write_text(text.replace("operator: ann", "operator: eve"))
    before = read_lock(target)
    report = export(target, paths, shard_bytes=60_000, old=before)
    assert report.reused == 2
    assert difference(before, report.lock).changed == {str(paths[1]): "its operator"}
    operators = pq.read_table(target / "meta/episodes/chunk-000/file-000.parquet")["operator"]
    assert operators.to_pylist() == ["ann", "ann", "eve"]
    checked(target)


def test_an_update_with_nothing_new_changes_nothing(takes: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "set"
    export(target, takes)
    before = tree(target)
    assert export(target, takes, old=read_lock(target)).reused == 1
    assert tree(target) == before


def test_an_episode_that_does_not_fit_is_left_out_with_the_reason(
    takes: list[Path], tmp_path: Path
) -> None:
    other = take(tmp_path, 9, replace(SHORT, grey=True))
    empty = tmp_path / "empty"
    empty.mkdir()
    report = export(tmp_path / "set", [takes[0], other, empty])
    assert report.episodes == 2 and "empty folder" in report.lock.left_out[str(empty)]
    assert report.lock.codecs["observation.images.camera"] == "+h264"
    export(tmp_path / "own", [takes[0]])
    report = export(tmp_path / "own", [takes[0], other], old=read_lock(tmp_path / "own"))
    assert "are jpeg grey, the dataset's jpeg 4:2:0" in report.lock.left_out[str(other)]
    checked(tmp_path / "own")


def test_nothing_to_export_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 left out: .*is not a bag"):
        export(tmp_path / "set", [tmp_path])
    assert not (tmp_path / "set").exists()


def test_held_frames_are_counted_and_cut_around(tmp_path: Path) -> None:
    path = take(tmp_path, 0, TakeOptions(seconds=5, gap=(2.0, 2.6)))
    kept = export(tmp_path / "kept", [path])
    cut = export(tmp_path / "cut", [path], held=Held.CUT)
    dropped = export(tmp_path / "dropped", [path], held=Held.DROP)
    assert (kept.episodes, cut.episodes, dropped.episodes) == (1, 2, 1)
    counted = cut.lock.counted["frames held or missing"]
    assert counted > 8 and dropped.frames == kept.frames - counted
    for name in ("kept", "cut", "dropped"):
        checked(tmp_path / name)


def test_pseudonyms_replace_operators_everywhere(tmp_path: Path) -> None:
    path = take(tmp_path, 0, SHORT, operator="ann.smith")
    export(tmp_path / "set", [path], renamed=lambda name: "operator_1")
    inside = b"".join(tree(tmp_path / "set").values())
    assert b"ann.smith" not in inside and b"operator_1" in inside


def test_a_split_is_kept_when_episodes_are_added(takes: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "set"
    first = export(target, takes[:4], shares={"val": 0.25}).lock
    second = export(target, takes, shares={"val": 0.25}, old=read_lock(target)).lock
    splits = [{s.path: s.laid_out.split for s in lock.sources} for lock in (first, second)]
    assert splits[0].items() <= splits[1].items() and "val" in splits[0].values()
    ranges = json.loads((target / "meta" / "info.json").read_text())["splits"]
    assert set(ranges) == {"train", "val"}


def test_two_exports_to_one_folder_do_not_mix(takes: list[Path], tmp_path: Path) -> None:
    run = ExportRun(tmp_path / "set", ExportSettings(), LocalPool(1))
    with run.work.alone(), pytest.raises(ConfigError, match="another export is writing it"):
        export(tmp_path / "set", takes[:1])


def test_what_other_settings_began_is_deleted_and_said(takes: list[Path], tmp_path: Path) -> None:
    (tmp_path / "set.partial" / ".export").mkdir(parents=True)
    (tmp_path / "set.partial" / ".export" / "request.json").write_text('{"settings": {}}')
    (tmp_path / "set.partial" / "junk").mkdir()
    report = export(tmp_path / "set", takes[:1])
    assert report.started_anew and not (tmp_path / "set" / "junk").exists()


CODE = """
import sys
from pathlib import Path
from robot_recorder.dataset.export_run import ExportRun
from robot_recorder.dataset.formats.table import formats
from robot_recorder.dataset.settings import ExportSettings
from robot_recorder.dataset.pool import LocalPool
target, *paths = map(Path, sys.argv[1:])
ExportRun(target, ExportSettings(shard_bytes=60_000), LocalPool(2)).run(paths, {}, {})
"""
KILLS = int(os.environ.get("FAULTS", "3"))


def test_a_killed_export_goes_on_where_it_was_and_gives_the_same_bytes(
    takes: list[Path], tmp_path: Path
) -> None:
    wanted = tree(export(tmp_path / "whole" / "set", takes, shard_bytes=60_000).target)
    target = tmp_path / "set"
    command = [sys.executable, "-c", CODE, str(target), *map(str, takes)]
    rng, lasts = random.Random(KILLS), 2.0
    for _ in range(KILLS):
        shutil.rmtree(target, ignore_errors=True)
        while True:
            began = time.monotonic()
            running = subprocess.Popen(command, start_new_session=True)
            try:
                running.wait(rng.uniform(0.3, lasts))
            except subprocess.TimeoutExpired:
                kill = rng.choice((os.kill, os.killpg))  # its workers end with it
                kill(running.pid, signal.SIGKILL)
                running.wait()
            if target.exists():
                break  # it was put in place: then it is whole
            lasts = max(lasts, 1.2 * (time.monotonic() - began))
        assert tree(target) == wanted
    shutil.rmtree(tmp_path / "set.partial", ignore_errors=True)


def test_the_same_lock_is_refused_for_other_labels_or_data(tmp_path: Path) -> None:
    paths = [take(tmp_path / "root", n, SHORT) for n in range(2)]
    lock = export(tmp_path / "set", paths).lock
    run = ExportRun(tmp_path / "again", ExportSettings(), LocalPool(1))
    metadata = paths[1] / "metadata.yaml"
    text = metadata.read_text()
    metadata.write_text(text.replace("operator: ann", "operator: eve"))
    with pytest.raises(RecorderError, match="arm_001_lift: its labels changed since"):
        run.run(paths, {}, {}, exact=lock)
    metadata.write_text(text)
    with pytest.raises(RecorderError, match="it is not selected"):
        ExportRun(tmp_path / "again", ExportSettings(), LocalPool(1)).run(
            paths[:1], {}, {}, exact=lock
        )


def test_the_lock_of_an_updated_dataset_gives_the_same_bytes(
    takes: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / "set"
    export(target, takes[:3], shares={"val": 0.3})
    lock = export(target, takes[1:], old=read_lock(target), shares={"val": 0.3}).lock
    again = ExportRun(
        tmp_path / "again" / "set", ExportSettings.from_dict(lock.settings), LocalPool(1)
    )
    again.run([Path(s.path) for s in lock.sources], lock.left_out, lock.selection, exact=lock)
    one, other = tree(target), tree(tmp_path / "again" / "set")
    changed = {n for n in one.keys() | other.keys() if one.get(n) != other.get(n)}
    assert {n for n in changed if not n.startswith(".export/")} == set()


def test_features_are_those_of_most_episodes_whatever_the_first_lacks(tmp_path: Path) -> None:
    odd = take(tmp_path, 0, replace(SHORT, gap=(0.0, 9.0)))
    report = export(tmp_path / "set", [odd, take(tmp_path, 1, SHORT), take(tmp_path, 2, SHORT)])
    assert report.episodes == 2 and "joints" in report.lock.left_out[str(odd)]
    assert "observation.state" in {f.name for f in report.lock.schema.features}
    alone = export(tmp_path / "alone", [odd])
    assert alone.lock.left_out["stream joints"] == "it has no values"


def test_a_job_whose_process_is_killed_runs_again(tmp_path: Path) -> None:
    flag = tmp_path / "killed"
    every = [ExportJob(f"{n}", 1.0, _die_once, (flag, n)) for n in range(4)]
    told: list[int] = []
    found = dict(
        (job.name, result)
        for job, result in LocalPool(2).run(every, lambda p: told.append(p.finished))
    )
    assert found == {"0": 0, "1": 1, "2": 4, "3": 9} and told[-1] == 4


def _die_once(flag: Path, number: int) -> int:
    if number == 2 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def test_a_job_that_always_kills_its_process_ends_the_export() -> None:
    every = [ExportJob("bad", 1.0, os._exit, (9,)), ExportJob("good", 1.0, int, ())]
    with pytest.raises(RecorderError, match=r"bad: its process was killed 3 times.*--workers"):
        list(LocalPool(2).run(every))


def test_errors_of_jobs_are_answers_and_faults_are_raised() -> None:
    for workers in (1, 2):
        every = [ExportJob("a", 1.0, _refuse, ()), ExportJob("b", 1.0, int, ())]
        found = {job.name: result for job, result in LocalPool(workers).run(every)}
        assert str(found["a"]) == "no" and found["b"] == 0
        with pytest.raises(ZeroDivisionError):
            list(LocalPool(workers).run([*every, ExportJob("c", 1.0, divmod, (1, 0))]))


def _refuse() -> None:
    raise ConfigError("no")


def test_a_folder_is_exchanged_with_what_is_there(tmp_path: Path, monkeypatch) -> None:
    from robot_recorder.dataset import swap

    for exchanges in (True, False):
        if not exchanges:
            monkeypatch.setattr(swap, "_exchanged", lambda one, other: False)
        for name, text in (("old", "old"), ("new", "new")):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "a").write_text(text)
        put_in_place(tmp_path / "new", tmp_path / "old")
        assert (tmp_path / "old" / "a").read_text() == "new" and not (tmp_path / "new").exists()


def test_a_marker_of_another_content_or_without_its_files_does_not_count(
    takes: list[Path], tmp_path: Path
) -> None:
    report = export(tmp_path / "set", takes[:1])
    marker = next((tmp_path / "set" / ".export" / "shards").glob("*.data.json"))
    found = json.loads(marker.read_text())
    for digest, files, wanted in (
        ("x", found["files"], False),
        ("y", ["gone"], False),
        ("z", [], True),
    ):
        marker.write_text(json.dumps({**found, "digest": "z", "files": files}))
        probe: Any = type(
            "T", (), {"dataset": tmp_path / "set", "marker": marker, "digest": digest}
        )()
        assert (jobs.written(probe) is not None) == wanted
    assert report.episodes == 1


def test_a_dataset_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a dataset known here"):
        verify_dataset(tmp_path)
    with pytest.raises(ConfigError, match="is not a lock file"):
        (tmp_path / LOCK).write_text("{}")
        read_lock(tmp_path)
    assert pool.answered(_refuse, ()).args == ("no",)
    assert JobProgress(1.0, 1).finished == 0
