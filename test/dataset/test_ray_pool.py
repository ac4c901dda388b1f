"""Jobs on a real Ray cluster of this machine; in those tests that need one, of two workers."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from robot_recorder.dataset.pool import ExportJob, JobProgress
from robot_recorder.dataset.ray_pool import RayPool
from robot_recorder.model.errors import BagError, ConfigError, RecorderError

pytestmark = pytest.mark.alone
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed (requirements/ray.txt)"
)

# What the jobs do, in a module that other processes can import.
JOBS = '''
import os, signal, time
from pathlib import Path
from robot_recorder.model.errors import BagError

def doubled(number):
    return 2 * number

def broken(name):
    raise BagError(f"{name} is broken")

def wrong():
    raise ValueError("a bug")

def killed(folder, times):
    """Kill the own process, the first times."""
    calls = len(list(Path(folder).iterdir()))
    Path(folder, str(calls)).touch()
    if calls < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls

def waits(folder, name):
    """Return once there is a file named go."""
    Path(folder, f"{name}.{time.monotonic_ns()}").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.05)
    return name
'''


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module with the jobs; nothing else is inherited by Ray, and its home is empty."""
    (tmp_path / "home").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "ray_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path / "code")
    package = Path(sys.modules["robot_recorder"].__file__ or "").parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tmp_path / "code", package))))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    import ray_jobs  # type: ignore[import-not-found]

    yield ray_jobs
    sys.modules.pop("ray_jobs")
    assert list((tmp_path / "home").iterdir()) == [], "Ray wrote into the home folder"


class Head:
    """A head of a cluster in a process group of its own, which listens on this machine only."""

    def __init__(self, folder: Path) -> None:
        self.port, self.client_port = free_port(), free_port()
        self.log, self.folder = (
            folder / "head.log",
            tempfile.mkdtemp(prefix="rayhead_", dir="/tmp"),
        )
        self.start()

    def start(self) -> None:
        """Start it, and wait until both ports answer."""
        words = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=2",
                 f"--port={self.port}", f"--ray-client-server-port={self.client_port}",
                 "--min-worker-port=0", "--max-worker-port=0", "--include-dashboard=false",
                 f"--temp-dir={self.folder}", "--disable-usage-stats"]  # fmt: skip
        with open(self.log, "a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", *words],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until(lambda: answers(self.port) and answers(self.client_port), self.log.read_text)

    def stop(self) -> None:
        """Kill it with all that it started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        until(lambda: not answers(self.port) and not answers(self.client_port))


@pytest.fixture
def head(work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # no port open to other machines
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")  # with it, one in ten clients is not served
    found = Head(tmp_path)
    yield found
    found.stop()
    shutil.rmtree(found.folder, ignore_errors=True)  # what it started may still be writing


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def until(
    holds: Callable[[], bool], why: Callable[[], str] = lambda: "", most_s: float = 90
) -> None:
    end = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


@needs_ray
def test_a_cluster_of_its_own_runs_jobs_again_whose_process_was_killed(
    work: Any, tmp_path: Path
) -> None:
    (tmp_path / "calls").mkdir()
    jobs = [
        ExportJob("killed", 3.0, work.killed, (tmp_path / "calls", 1)),
        ExportJob("broken", 1.0, work.broken, ("an episode",)),
        *(ExportJob(f"number {n}", 1.0, work.doubled, (n,)) for n in range(5)),
    ]
    told: list[tuple[float, int, tuple[str, ...]]] = []

    def tell(progress: JobProgress) -> None:
        told.append((progress.done, progress.finished, tuple(progress.running)))

    before = set(Path("/tmp").glob("ray_*"))
    found = {job.name: result for job, result in RayPool(workers=2).run(jobs, tell)}
    assert isinstance(found.pop("broken"), BagError)
    assert found == {"killed": 1, **{f"number {n}": 2 * n for n in range(5)}}
    assert told[-1] == (9.0, 7, ())
    assert any("killed" in running for _, _, running in told)
    assert set(Path("/tmp").glob("ray_*")) == before


@needs_ray
def test_what_is_left_is_ended_when_nobody_wants_it(work: Any, tmp_path: Path) -> None:
    jobs = [
        ExportJob("at once", 1.0, work.doubled, (1,)),
        ExportJob("waits", 1.0, work.waits, (tmp_path, "waits")),
    ]
    results = RayPool(workers=2).run(jobs)
    assert next(results)[1] == 2
    until(lambda: bool(list(tmp_path.glob("waits.*"))))
    results.close()  # type: ignore[attr-defined]
    mark = str(tmp_path / "code").encode()  # in the environment of all that was started
    until(lambda: [p for p in Path("/proc").glob("[0-9]*") if mark in environment(p)] == [])


def environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes() if process.name != str(os.getpid()) else b""
    except OSError:
        return b""


@needs_ray
@pytest.mark.parametrize("client", [False, True], ids=["direct", "client"])
def test_a_head_that_goes_and_comes_back_loses_nothing(
    work: Any, head: Head, tmp_path: Path, client: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "seen").mkdir()
    address = f"ray://127.0.0.1:{head.client_port}" if client else f"127.0.0.1:{head.port}"
    jobs = [
        ExportJob("first", 1.0, work.doubled, (1,)),
        *(
            ExportJob(f"job {n}", 1.0, work.waits, (tmp_path / "seen", f"job {n}"))
            for n in range(3)
        ),
    ]

    def seen() -> Counter[str]:
        return Counter(path.name.partition(".")[0] for path in (tmp_path / "seen").iterdir())

    state = "running"

    def tell(progress: JobProgress) -> None:
        nonlocal state
        if state == "running" and seen()["job 0"] and seen()["job 1"]:
            head.stop()
            state = "gone"
        elif state == "gone" and "was lost" in caplog.text:
            head.start()
            (tmp_path / "seen" / "go").touch()
            state = "back"

    found = [(job.name, result) for job, result in RayPool(address).run(jobs, tell)]
    assert state == "back"
    assert sorted(found) == [("first", 2), *((f"job {n}", f"job {n}") for n in range(3))]
    assert "connected to Ray again" in caplog.text
    assert seen()["job 0"] == seen()["job 1"] == 2, "what was at work was not run again"


@needs_ray
def test_what_goes_wrong_on_a_cluster_is_named(
    work: Any, head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = RayPool(f"127.0.0.1:{head.port}", workers=1)
    with pytest.raises(ValueError, match="a bug") as caught:
        list(pool.run([ExportJob("wrong", 1.0, work.wrong, ())]))
    assert "in wrong" in str(caught.value.__cause__)
    (tmp_path / "calls").mkdir()
    with pytest.raises(RecorderError, match="fatal: its process was killed 4 times"):
        list(pool.run([ExportJob("fatal", 1.0, work.killed, (tmp_path / "calls", 99))]))
    (tmp_path / "ray_here.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    import ray_here  # type: ignore[import-not-found]

    with pytest.raises(ConfigError, match="cluster lacks the Python module 'ray_here'"):
        list(pool.run([ExportJob("lost", 1.0, ray_here.doubled, (1,))]))


def test_no_job_is_no_work() -> None:
    assert list(RayPool("nowhere:1").run([])) == []


@needs_ray
def test_a_cluster_that_does_not_answer_is_named_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"'ray://127\.0\.0\.1:.*cannot be reached: .*ray start"):
        list(RayPool(f"ray://127.0.0.1:{free_port()}").run([ExportJob("any", 1.0, print, ())]))
    assert time.monotonic() - began < 10


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'robot_recorder\[ray\]'"):
        list(RayPool().run([ExportJob("any", 1.0, print, ())]))
