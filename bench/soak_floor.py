"""The processes of the soak on one small disk: robot, recorder, operator, console, agent, centre; and what breaks them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from figures import HERE
from processes import Background
from soak_robot import write_profile
from support.robot import ShiftedClock

from robot_recorder.cli.processes import ended, node_command
from robot_recorder.floor.sim.own_centre import OwnCentre

SITE = "hall"
BALLAST = "ballast"  # file that fills the disk
MIN_FREE_MB = 150
QUEUE_MB = 4  # of the recorder, so that a stalled disk fills it
MOST_EPISODE_S = 30
_DISK_MB = 2000
_KEPT_S = 120  # an episode stays on the robot so long after it was acknowledged
_TRASH_S = 300  # and a discarded one
_DAY_S = 86_400


class Program:
    """A process that is started again and again.

    Attributes:
        name: of it.
        starts: how often it was started.
    """

    def __init__(
        self, name: str, command: Callable[[int], Sequence[str]], log: Path, env: Mapping[str, str]
    ) -> None:
        """Start nothing yet.

        Args:
            name: of it.
            command: returns its command line by the number of earlier starts.
            log: file of what it prints.
            env: variables besides those of this process.
        """
        self.name = name
        self.starts = 0
        self._command, self._log, self._env = command, log, env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the id of its process; 0: it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def start(self) -> None:
        """Start it unless it runs."""
        if self.pid:
            return
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._command(self.starts),
                stdout=log,
                stderr=log,
                env={**os.environ, **self._env},
                start_new_session=True,  # Ctrl-C ends the soak, which then ends them
            )
        self.starts += 1

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int | None:
        """End it as Ctrl-C does; return its exit code."""
        if self._process is None:
            return None
        with ended(self._process, 40):
            pass
        return self._process.returncode

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.pid and self._process is not None:
            self._process.send_signal(number)


def _same(command: Sequence[str], _: int) -> Sequence[str]:
    return command


@contextmanager
def small_disk(folder: Path, left_out: list[str]) -> Iterator[Path]:
    """Mount a file system of its own in a file, which can be filled and stalled; only root may.

    Args:
        folder: where file and disk lie.
        left_out: gets a sentence if it cannot be mounted; the directory is on the machine's disk then.
    """
    disk, image = folder / "disk", folder / "disk.img"
    disk.mkdir(parents=True)
    with open(image, "wb") as file:
        file.truncate(_DISK_MB * 1_000_000)
    commands = (
        ["mkfs.ext4", "-q", "-m", "0", str(image)],
        ["mount", "-o", "loop,noatime", str(image), str(disk)],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        left_out.append("disk_nearly_full, disk_stalls: only root can mount a small disk")
        yield disk
        return
    try:
        yield disk
    finally:
        subprocess.run(["fsfreeze", "-u", str(disk)], capture_output=True)  # whatever ended it
        subprocess.run(["umount", "-l", str(disk)], check=False)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def robot_name(physics: bool) -> str:
    """Return the name in the robot's profile."""
    return "g1_sim" if physics else "soak"


class SoakFloor:
    """Everything that runs.

    Attributes:
        folder: of logs and of what the centre keeps.
        root: of the robot's episodes.
        programs: by name.
        centre: the centre.
        address: of the console.
        agent: command line of the agent.
        robot: name of the robot.
        clock: of the robot; None: there is no C compiler to make one that can be set.
        left_out: a sentence for each fault that is impossible here.
    """

    def __init__(self, folder: Path, stack: ExitStack, physics: bool) -> None:
        """Start all of it.

        Args:
            folder: empty.
            stack: ends it.
            physics: simulate the humanoid instead of the light robot.
        """
        self.folder = folder
        self.left_out: list[str] = []
        self.disk = stack.enter_context(small_disk(folder, self.left_out))
        self.has_disk = os.path.ismount(self.disk)
        self.root = self.disk / "episodes"
        self.robot = robot_name(physics)
        self.root.mkdir()  # the agent may be there before the recorder
        self.clock = self._clock()
        self.centre = stack.enter_context(OwnCentre(folder / "centre"))
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.programs = {program.name: program for program in self._programs(physics)}
        for program in self.programs.values():
            stack.callback(program.stop)
            program.start()

    def _clock(self) -> ShiftedClock | None:
        try:
            return ShiftedClock(self.folder)
        except (OSError, subprocess.CalledProcessError):
            self.left_out.append("clock_jumps: there is no C compiler for a clock that can be set")
            return None

    def _programs(self, physics: bool) -> Iterator[Program]:
        env = self.clock.environment if self.clock is not None else {}
        logs = self.folder / "logs"
        logs.mkdir()
        common: dict[str, object] = {"root": self.root}
        if physics:
            cache = {"cache": HERE.parent.absolute() / ".cache/sim"}
            nodes: dict[str, Mapping[str, object]] = {"sim_robot": cache, "sim_hands": {}}
        else:
            common["profile"] = write_profile(self.folder / "soak.yaml")
            script = str(HERE / "soak_robot.py")
            yield Program(
                "robot", lambda start: [sys.executable, script, str(start)], logs / "robot.log", env
            )
            nodes = {}
        limits = {"min_free_mb": MIN_FREE_MB, "max_queue_mb": QUEUE_MB, "max_episode_s": float(MOST_EPISODE_S),
                  "trash_days": _TRASH_S / _DAY_S}  # fmt: skip
        nodes |= {
            "record": {**common, **limits},
            "operator": {**common, "tones": False},
            "console": {**common, "port": self.port},
        }
        for name, given in nodes.items():
            called = "robot" if name == "sim_robot" else name
            command = node_command(name, given)
            yield Program(called, partial(_same, command), logs / f"{called}.log", env)
        self.agent = [
            "robot-recorder",
            "agent",
            str(self.root),
            "--config",
            str(self._agent_config()),
        ]
        yield Program("agent", partial(_same, self.agent), logs / "agent.log", env)

    def _agent_config(self) -> Path:
        token = self.folder / "token"
        token.write_text(self.centre.token(SITE, self.robot) + "\n")
        token.chmod(0o600)
        plain = {
            "centre": self.centre.url, "site": SITE, "robot": self.robot, "token": str(token),
            "public_keys": list(self.centre.publics), "while_recording": "send",
            "keep_days": _KEPT_S / _DAY_S, "delete": "aged",
        }  # fmt: skip
        path = self.folder / "agent.yaml"
        path.write_text(yaml.safe_dump(plain))
        return path

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by name."""
        every = {name: program.pid for name, program in self.programs.items()}
        return {name: pid for name, pid in {**every, "centre": self.centre.pid}.items() if pid}

    def ended(self) -> list[str]:
        """Return the programs that do not run."""
        return [name for name, program in self.programs.items() if not program.pid]


@dataclass(frozen=True)
class Fault:
    """Something that breaks and is mended.

    Attributes:
        name: of it.
        for_s: how long it stays broken.
        break_it, mend_it: what is done.
    """

    name: str
    for_s: float
    break_it: Callable[[], object]
    mend_it: Callable[[], object]


def faults_of(floor: SoakFloor) -> list[Fault]:
    """Return what can break here; each is felt, and none for ever."""
    programs = floor.programs

    def killed(name: str, for_s: float) -> Fault:
        program = programs[name]
        return Fault(f"{name}_killed", for_s, program.kill, program.start)

    found = [
        killed("robot", 6), killed("record", 2), killed("console", 3), killed("agent", 10),
        Fault("centre_down", 40, floor.centre.kill, floor.centre.restart),
        # The robot's messages wait in the middleware's queues, which are not that long.
        Fault("recorder_halted", 4, lambda: programs["record"].send(signal.SIGSTOP),
              lambda: programs["record"].send(signal.SIGCONT)),
    ]  # fmt: skip
    if (clock := floor.clock) is not None:
        found += [
            Fault("clock_jumps_ahead", 30, lambda: clock.set(20.0), lambda: clock.set(0.0)),
            Fault("clock_jumps_back", 30, lambda: clock.set(-7.0), lambda: clock.set(0.0)),
        ]
    if floor.has_disk:
        found += [
            Fault("disk_nearly_full", 35, lambda: _fill(floor.disk), (floor.disk / BALLAST).unlink),
            Fault("disk_stalls", 9, lambda: _freeze("-f", floor.disk), lambda: _freeze("-u", floor.disk)),
        ]  # fmt: skip
    return found


def _fill(disk: Path) -> None:
    """Leave less of a disk than the recorder's reserve."""
    more = shutil.disk_usage(disk).free - (MIN_FREE_MB - 50) * 1_000_000
    subprocess.run(["fallocate", "-l", str(max(4096, more)), str(disk / BALLAST)], check=True)


def _freeze(how: str, disk: Path) -> None:
    subprocess.run(["fsfreeze", how, str(disk)], check=True, capture_output=True)


@dataclass
class Faults(Background):
    """Breaks one thing after the other, in rounds of chance in which each comes once.

    Attributes:
        done: time since the beginning, s, name, and how long it was broken, s.
        broken: what is broken now; empty: nothing.
    """

    kinds: list[Fault]
    every_s: float
    seed: int
    began_s: float
    done: list[tuple[float, str, float]] = field(default_factory=list)
    broken: str = ""

    def __post_init__(self) -> None:
        """Prepare the thread."""
        super().__init__("faults")
        self.problem: BaseException | None = None

    def stop(self) -> None:
        """Mend what is broken and break no more.

        Raises:
            RuntimeError: something could not be broken or mended.
        """
        super().stop()
        if self.problem is not None:
            raise RuntimeError("the faults ended early") from self.problem

    def counts(self) -> dict[str, int]:
        """Return how often each broke."""
        return dict(sorted(Counter(name for _, name, _ in self.done).items()))

    def _run(self) -> None:
        rng = random.Random(self.seed)
        try:
            while not self._ending.is_set():
                for fault in rng.sample(self.kinds, len(self.kinds)):
                    if self._ending.wait(self.every_s * rng.uniform(0.7, 1.3)):
                        return
                    self._once(fault)
        except BaseException as error:  # told by ``stop``
            self.problem = error

    def _once(self, fault: Fault) -> None:
        self.done.append((time.monotonic() - self.began_s, fault.name, fault.for_s))
        self.broken = fault.name
        fault.break_it()
        try:
            self._ending.wait(fault.for_s)
        finally:
            fault.mend_it()
            self.broken = ""


def words_of(logs: Path, most: int = 5) -> dict[str, Any]:
    """Return for each program the lines of its log that tell of a crash of Python, and how many lines there are."""
    found = {}
    for path in sorted(logs.glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()
        bad = [line for line in lines if line.startswith("Traceback") or "Fatal" in line]
        found[path.stem] = {"lines": len(lines), "tracebacks": bad[:most]}
    return found
