"""A catalogue with several writers, and one that cannot be written."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from support.catalogued import content, from_the_bags
from support.episodes import make_episode

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.schema import FILE
from robot_recorder.catalogue.stats import count_up
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import Outcome

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from support.episodes import make_episode
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.floor.store import open_store
store = open_store(Path(sys.argv[1]))
for i in range(40):
    path = make_episode(store, 20.0 * i, robot=sys.argv[2])
    store.append_label(LabelEvent(1, path.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS))
"""


def test_concurrent_processes_and_threads_lose_no_update(tmp_path: Path) -> None:
    root, support = tmp_path / "root", str(Path(__file__).parents[1])
    root.mkdir()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(root), robot, support])
        for robot in ("one", "two", "three")
    ]
    store = open_store(root)

    def record(robot: str) -> None:
        for i in range(20):
            make_episode(store, 20.0 * i, robot=robot)

    threads = [threading.Thread(target=record, args=(f"thread{i}",)) for i in range(2)]
    for thread in threads:
        thread.start()
    while any(writer.poll() is None for writer in writers):
        content(root)
    for thread in threads:
        thread.join()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with Catalogue(root) as catalogue:
        stats = count_up(catalogue)
    assert stats.total.episodes == 160 and stats.total.of(Outcome.SUCCESS) == 120
    assert content(root) == from_the_bags(root)


READER = """
import os, sys
from pathlib import Path
from robot_recorder.model.errors import BagError
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.sync import sync
if os.geteuid() == 0:
    os.setuid(65534)
root = Path(sys.argv[1])
try:
    Catalogue(root, writable=True)
except BagError as error:
    print(error)
with Catalogue(root) as catalogue:
    print(catalogue.note, catalogue.episodes(), sync(catalogue), sync(catalogue,
    thorough=True).read)
"""


@pytest.mark.parametrize("recording", [False, True])
def test_a_read_only_catalogue_is_continued_in_memory(recording: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:  # readable by users other than root
        root = Path(folder) / "root"
        root.mkdir()
        store = open_store(root)
        make_episode(store)
        if not recording:
            del store  # and with it the write-ahead log
        folders = (Path(folder), root, root / FILE.parent)
        for path in (*folders, *(root / FILE.parent).iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-c", READER, str(root)]
        done = subprocess.run(command, capture_output=True, text=True)
        for path in folders:
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    refusal, found = done.stdout.splitlines()
    assert "cannot be written" in refusal and "kept in memory" in found
    assert found.endswith(" 1 SyncResult(read=0, gone=0) 0"), found
