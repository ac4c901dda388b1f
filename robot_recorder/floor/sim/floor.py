"""A floor of light robots on one machine: real agents and episodes, no physics, and faults.

Robots run as threads of a few processes, each of which is killed as a whole. A process reaches the
centre over a link of its own, which can fail. All chance follows from one seed.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from robot_recorder.bags.files import replace_text
from robot_recorder.floor.sim.account import (
    CentreHolding,
    FloorAccount,
    RobotTruth,
    count_floor,
    read_truth,
)
from robot_recorder.floor.sim.faults import (
    FaultLink,
    FaultLinks,
    LinkState,
    PlannedFault,
    SimFault,
    plan_faults,
)
from robot_recorder.floor.sim.template import draw_template
from robot_recorder.model.errors import RecorderError

ROBOT_MODULE = "robot_recorder.floor.sim.light_robot"
_STEP_S = 0.1
_QUIET_S = 4.0
_MEGABYTE = 1_000_000
_DISK_PER_ROBOT = 40 * _MEGABYTE


class SimCentre(Protocol):
    """The centre of a simulated floor."""

    url: str
    publics: tuple[str, ...]

    def token(self, site: str, robot: str) -> str:
        """Return a token for a robot."""

    def breaks(self) -> dict[SimFault, tuple[Callable[[], None], Callable[[], None]]]:
        """Return what can be broken of it: for each fault how to break and how to mend it."""

    def holdings(self) -> list[CentreHolding]:
        """Return what it has of every episode."""

    def waiting(self) -> int:
        """Return how many episodes it has not finished with."""

    def keep_alive(self) -> None:
        """Start it again if it ended by itself."""


@dataclass(frozen=True)
class SimSettings:
    """Settings of a simulated floor.

    Attributes:
        folder: of everything; kept after the run.
        robots: how many.
        per_process: how many of them share a process, and die together.
        seconds: how long they record; None: until ``stop``.
        pace_s: from one take of a robot to the next.
        take_s: how long a robot shows that it records before the take is there.
        episodes: stop recording when so many were recorded; 0: no limit.
        target: takes of a shift.
        seed: of all chance.
        faults: what may break.
        faults_per_minute: on average.
        free_after_s: age at which an agent deletes an acknowledged episode.
        drain_s: how long to wait at the end until all is acknowledged.
        site: of the robots.
        template: bag to replay; None: a drawn one.
    """

    folder: Path
    robots: int = 10
    per_process: int = 25
    seconds: float | None = 60.0
    pace_s: float = 5.0
    take_s: float = 0.0
    episodes: int = 0
    target: int = 50
    seed: int = 1
    faults: tuple[SimFault, ...] = ()
    faults_per_minute: float = 0.0
    free_after_s: float = 20.0
    drain_s: float = 300.0
    site: str = "hall"
    template: Path | None = None


@dataclass(frozen=True)
class LightRobotPlan:
    """What a process has to know of one robot; plain values.

    Attributes:
        robot, site, token: its names, and its secret at the centre.
        root: directory of its episodes.
        journal: file of what it does.
        seed: of its chance.
    """

    robot: str
    site: str
    token: str
    root: str
    journal: str
    seed: int


@dataclass(frozen=True)
class RobotGroupPlan:
    """What a process of light robots has to know, as the JSON file that it is started with.

    Attributes:
        url: of the centre, over the group's link.
        publics: keys of the centre.
        template: bag to replay.
        control: file that says what they do now, see ``GroupOrders``.
        pace_s, take_s, target, free_after_s: see ``SimSettings``.
        robots: its robots.
    """

    url: str
    publics: tuple[str, ...]
    template: str
    control: str
    pace_s: float
    take_s: float
    target: int
    free_after_s: float
    robots: tuple[LightRobotPlan, ...]

    @classmethod
    def read(cls, path: Path) -> RobotGroupPlan:
        """Read what ``RobotGroup`` wrote."""
        plain = json.loads(path.read_text())
        robots = tuple(LightRobotPlan(**robot) for robot in plain.pop("robots"))
        return cls(**{**plain, "publics": tuple(plain["publics"]), "robots": robots})


@dataclass(frozen=True)
class GroupOrders:
    """What a process of light robots does now: read again and again from a file.

    Attributes:
        recording: whether they record.
        clock_off_ns: how wrong their clocks are.
    """

    recording: bool = True
    clock_off_ns: int = 0

    @classmethod
    def read(cls, path: Path) -> GroupOrders:
        """Read the file that ``RobotGroup.order`` replaces."""
        return cls(**json.loads(path.read_text()))


@dataclass
class RobotGroup:
    """A process of light robots, as the floor sees it.

    Attributes:
        plan: file of its ``RobotGroupPlan``.
        log: file of what it prints.
        link: its way to the centre.
        disk: its own small disk; None: it shares the floor's.
        robots: what it runs.
    """

    plan: Path
    log: Path
    link: FaultLink
    disk: Path | None
    robots: tuple[LightRobotPlan, ...]
    orders: GroupOrders = field(default_factory=GroupOrders)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", ROBOT_MODULE, str(self.plan)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def order(self, orders: GroupOrders) -> None:
        """Tell the robots what to do from now on."""
        self.orders = orders
        replace_text(self.plan.with_suffix(".orders"), json.dumps(asdict(orders)))

    def kill(self) -> None:
        """Kill the process as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End the process in good order, or by force after half a minute."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def keep_alive(self) -> None:
        """Start a process that has ended by itself again, and log that it had."""
        if self.process is not None and self.process.poll() is not None:
            logging.getLogger(__name__).error(
                "robots ended with %s: see %s", self.process.returncode, self.log
            )
            self.start()


@dataclass(frozen=True)
class FloorRun:
    """The result of a run.

    Attributes:
        account: bag by bag and label by label.
        faults: how often each fault was injected.
        seconds: how long robots recorded.
        drain_s: how long it took then until all was acknowledged; None: it was not in time.
        heard_s: of each episode, from its end until the centre had its metadata.
    """

    account: FloorAccount
    faults: Counter[str]
    seconds: float
    drain_s: float | None
    heard_s: list[float]


class SimFloor:
    """A floor of light robots. Use it with ``with``; ``run`` does everything."""

    def __init__(self, settings: SimSettings, centre: SimCentre) -> None:
        """Create it; nothing is started yet.

        Args:
            settings: what to simulate.
            centre: where the robots send to; it is running.
        """
        self.settings = settings
        self.centre = centre
        self.groups: list[RobotGroup] = []
        self.left_out: list[str] = []
        self.stopping = False
        self._stack = ExitStack()
        self._mends: list[tuple[float, Callable[[], None]]] = []
        self._broken: set[object] = set()
        self._faults: Counter[str] = Counter()

    def __enter__(self) -> SimFloor:
        with ExitStack() as stack:
            self.settings.folder.mkdir(parents=True, exist_ok=True)
            links = stack.enter_context(FaultLinks())
            stack.callback(self._end_groups)
            template = self._template()
            step = self.settings.per_process
            for number, begin in enumerate(range(0, self.settings.robots, step)):
                numbers = range(begin, min(begin + step, self.settings.robots))
                self.groups.append(self._group(number, numbers, template, links, stack))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start(self, recording: bool = True) -> None:
        """Start all robots.

        Args:
            recording: whether they record; else they only send.
        """
        for group in self.groups:
            group.order(GroupOrders(recording))
            group.start()

    def stop(self) -> None:
        """Let ``run`` end soon; may be called by a signal handler."""
        self.stopping = True

    def run(self) -> FloorRun:
        """Let robots record while things break, mend all, wait until all is sent, and count.

        Raises:
            RecorderError: the centre cannot be read at the end.
        """
        self.start()
        return self.end(self.watch())

    def end(self, seconds: float) -> FloorRun:
        """Wait until all is sent, end the robots, and count.

        Args:
            seconds: for how long they recorded, as ``watch`` returned it.

        Raises:
            RecorderError: the centre cannot be read.
        """
        drain_s = self._drain()
        self._end_groups()
        return self.count(seconds, drain_s)

    def watch(self) -> float:
        """Let running robots record and break things as long as was asked for, or until ``stop``.

        Returns:
            For how long they recorded, s.
        """
        return self._record()

    def truths(self) -> Iterator[RobotTruth]:
        """Yield what each robot recorded; only after ``run``, or while nothing runs."""
        for group in self.groups:
            for plan in group.robots:
                yield read_truth(plan.site, plan.robot, Path(plan.root), Path(plan.journal))

    def recorded(self) -> int:
        """Return the number of episodes that were recorded so far."""
        journals = [Path(plan.journal) for group in self.groups for plan in group.robots]
        return sum(path.read_bytes().count(b'"files"') for path in journals if path.exists())

    # -- set up

    def _template(self) -> Path:
        path = self.settings.template or self.settings.folder / "template"
        return path if path.exists() else draw_template(path)

    def _group(
        self, number: int, robots: range, template: Path, links: FaultLinks, stack: ExitStack
    ) -> RobotGroup:
        settings, folder = self.settings, self.settings.folder
        disk = None
        if number == 0 and SimFault.DISK_FULL in settings.faults:
            disk = self._small_disk(len(robots), stack)
        roots = disk or folder / "robots"
        address = urlsplit(self.centre.url)
        link = links.add(address.hostname or "127.0.0.1", address.port or 80)
        plans = tuple(
            LightRobotPlan(
                name := f"robot_{n + 1:03d}",
                settings.site,
                self.centre.token(settings.site, name),
                str(roots / name),
                str(folder / "journals" / f"{name}.jsonl"),
                settings.seed * 1000 + n,
            )
            for n in robots
        )
        path = folder / f"group_{number}.json"
        plan = RobotGroupPlan(
            f"{address.scheme}://127.0.0.1:{link.port}", self.centre.publics, str(template),
            str(path.with_suffix(".orders")), settings.pace_s, settings.take_s, settings.target,
            settings.free_after_s, plans,
        )  # fmt: skip
        replace_text(path, json.dumps(asdict(plan)))
        path.chmod(0o600)  # it holds tokens
        return RobotGroup(path, path.with_suffix(".log"), link, disk, plans)

    def _small_disk(self, robots: int, stack: ExitStack) -> Path | None:
        """Mount a small file system for the first group; only root may."""
        disk = self.settings.folder / "disk"
        disk.mkdir(exist_ok=True)
        size = robots * _DISK_PER_ROBOT
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            self.left_out.append("disk_full: only root can mount a small disk")
            return None
        stack.callback(subprocess.run, ["umount", "-l", str(disk)], check=False)
        return disk

    def _end_groups(self) -> None:
        for group in self.groups:
            if group.process is not None:
                group.process.send_signal(signal.SIGINT)  # all at once
        for group in self.groups:
            group.stop()

    def _keep_alive(self) -> None:
        self.centre.keep_alive()
        for group in self.groups:
            group.keep_alive()

    # -- faults

    def _record(self) -> float:
        """Let the robots record and break things, for as long as was asked; return for how long."""
        settings, began = self.settings, time.monotonic()
        seconds = settings.seconds if settings.seconds is not None else 1e9
        faults = plan_faults(settings.seed, self._possible(), settings.faults_per_minute, seconds)
        coming = next(faults, None)
        while not self.stopping and (now_s := time.monotonic() - began) < seconds:
            if coming is not None and now_s >= coming.at_s:
                self._inject(coming)
                coming = next(faults, None)
            self._mend(time.monotonic())
            self._keep_alive()
            if settings.episodes and self.recorded() >= settings.episodes:
                break
            time.sleep(_STEP_S)
        self._mend(float("inf"))
        for group in self.groups:
            group.order(GroupOrders(recording=False))
        return time.monotonic() - began

    def _possible(self) -> list[SimFault]:
        """Return the faults that were asked for and can be injected here."""
        centre = self.centre.breaks()
        possible = []
        for kind in self.settings.faults:
            if kind in (SimFault.CENTRE_KILLED, SimFault.DATABASE_KILLED, SimFault.STORAGE_GONE):
                if kind not in centre:
                    self.left_out.append(f"{kind.value}: this centre's cannot be broken from here")
                    continue
            elif kind is SimFault.DISK_FULL and not any(group.disk for group in self.groups):
                continue
            possible.append(kind)
        return possible

    def _inject(self, fault: PlannedFault) -> None:
        """Break something, unless it is broken already; plan its mending."""
        found = self._break(fault)
        if found is None:
            return
        what, break_it, mend_it = found
        if what in self._broken:
            return
        self._broken.add(what)
        self._faults[fault.kind.value] += 1
        logging.getLogger(__name__).info("%s for %.1f s", fault.kind.value, fault.for_s)
        break_it()

        def mend() -> None:
            mend_it()
            self._broken.discard(what)

        self._mends.append((time.monotonic() + fault.for_s, mend))

    def _break(
        self, fault: PlannedFault
    ) -> tuple[object, Callable[[], None], Callable[[], None]] | None:
        """Return what a fault meets, how to break it, and how to mend it."""
        kind = fault.kind
        if kind in (breaks := self.centre.breaks()):
            return (kind, *breaks[kind])
        number = int(fault.draw * len(self.groups))
        group = self.groups[number]
        if (state := kind.link) is not None:
            return (number, "link"), lambda: _break_link(group.link, state, fault.draw), (
                lambda: group.link.set(LinkState.OPEN)
            )  # fmt: skip
        if kind is SimFault.ROBOTS_KILLED:
            return (number, "process"), group.kill, group.start
        if kind is SimFault.CLOCK_OFF:
            off_ns = round((fault.draw * 997 % 1 - 0.5) * 7200 * 1e9)
            return (number, "clock"), lambda: group.order(GroupOrders(True, off_ns)), (
                lambda: group.order(GroupOrders())
            )  # fmt: skip
        disk = next((g.disk for g in self.groups if g.disk), None)
        if disk is None:
            return None
        return (kind, "disk"), lambda: fill_disk(disk), lambda: (disk / "ballast").unlink(True)

    def _mend(self, now_s: float) -> None:
        due = [entry for entry in self._mends if entry[0] <= now_s]
        self._mends = [entry for entry in self._mends if entry[0] > now_s]
        for _, mend in due:
            mend()

    # -- the end

    def _drain(self) -> float | None:
        """Wait until every episode on the robots' disks is acknowledged; return how long it took."""
        began = time.monotonic()
        quiet_s: float | None = None  # since then; labels of the centre are on their way for a beat
        while (waited_s := time.monotonic() - began) < self.settings.drain_s:
            if not self._quiet():
                quiet_s = None
            elif quiet_s is None:
                quiet_s = waited_s
            elif waited_s - quiet_s > _QUIET_S:
                return quiet_s
            self._keep_alive()
            time.sleep(0.5)
        return None

    def _quiet(self) -> bool:
        """Return whether robots and centre say that nothing waits."""
        if self.centre.waiting():
            return False
        for group in self.groups:
            for plan in group.robots:
                state = Path(plan.journal).with_suffix(".state")
                try:
                    said = json.loads(state.read_text())
                except (OSError, ValueError):
                    return False
                if said["waiting"] or time.time() - said["at_s"] > 5 or said["recording"]:
                    return False
        return True

    def count(self, seconds: float, drain_s: float | None) -> FloorRun:
        """Compare what was recorded with what the centre has, while no robot runs.

        Args:
            seconds: for how long they recorded.
            drain_s: how long it took then to send everything; None: it was not in time.

        Raises:
            RecorderError: the centre cannot be read.
        """
        truths, holdings = list(self.truths()), self.centre.holdings()
        account = count_floor(truths, holdings, self.centre.publics)
        recorded = {(t.site, id): ns for t in truths for id, ns in t.recorded_ns.items()}
        heard = [
            (h.offered_ns - recorded[h.site, h.episode]) / 1e9
            for h in holdings
            if h.offered_ns is not None and (h.site, h.episode) in recorded
        ]
        return FloorRun(account, self._faults, seconds, drain_s, heard)


def _break_link(link: FaultLink, state: LinkState, draw: float) -> None:
    link.set(state, bytes_per_s=20_000 + draw * 180_000, cut_after=round(2_000 + draw * 800_000))


def fill_disk(disk: Path) -> None:
    """Fill a disk with a file named ``ballast``."""
    with suppress(OSError), open(disk / "ballast", "wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))


def faults_named(words: Sequence[str]) -> tuple[SimFault, ...]:
    """Return faults by their names; ``all`` is all of them.

    Raises:
        RecorderError: there is no such fault.
    """
    if list(words) == ["all"]:
        return tuple(SimFault)
    try:
        return tuple(SimFault(word) for word in words)
    except ValueError as error:
        known = ", ".join(kind.value for kind in SimFault)
        raise RecorderError(f"{error}; there are {known}") from error


def plain_run(run: FloorRun) -> dict[str, Any]:
    """Return a run as plain values for JSON."""
    return {
        **dict(run.account.rows()),
        "wrong": run.account.wrong,
        "complaints": run.account.complaints,
        "faults": dict(run.faults),
        "seconds": round(run.seconds, 1),
        "drain_s": None if run.drain_s is None else round(run.drain_s, 1),
    }
