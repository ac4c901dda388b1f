"""A process of light robots: real agents on real episodes, and a recorder that replays one.

python -m robot_recorder.floor.sim.light_robot PLAN.json

``floor/sim/floor.py`` starts such processes, tells them by a file what to do, and kills them.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import replace_text
from robot_recorder.configuration.find import load_tasks
from robot_recorder.configuration.tasks import Task
from robot_recorder.floor.agent.agent import StationAgent
from robot_recorder.floor.agent.live import RecorderView
from robot_recorder.floor.agent.outbox import SendState
from robot_recorder.floor.agent.settings import AgentSettings, DeleteWhen, WhileRecording
from robot_recorder.floor.agent.signatures import metadata_signature
from robot_recorder.floor.sim.floor import GroupOrders, LightRobotPlan, RobotGroupPlan
from robot_recorder.floor.sim.recorder import SimJournal, SimRecorder
from robot_recorder.floor.sim.take import TakeReplay, task_choice
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import RecorderError

_ORDERS_S = 0.3
_STATE_S = 1.0
_SHOWN_S = 0.5  # between two views of a running take
_UNSENT = (SendState.RECORDED, SendState.OFFERED, SendState.UPLOADING, SendState.STORED)
_AGENT = "robot_recorder.floor.agent."


class GroupOrderBook:
    """What the robots of a process do now, read from a file that is replaced."""

    def __init__(self, path: Path) -> None:
        """Read the file for the first time."""
        self._path = path
        self.now = GroupOrders()
        self.read()

    def read(self) -> None:
        """Read the file; what cannot be read changes nothing."""
        with suppress(OSError, ValueError, TypeError):
            self.now = GroupOrders.read(self._path)

    def clock_ns(self) -> int:
        """Return ns since the epoch, as wrong as ordered."""
        return time.time_ns() + self.now.clock_off_ns


class WrongTime:
    """Stands for the module ``time`` in the agent's modules: the wall clock is as wrong as ordered."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        """Use a clock."""
        self.time_ns = clock_ns

    def time(self) -> float:
        """Return s since the epoch."""
        return self.time_ns() / 1e9

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def give_agents_a_clock(clock_ns: Callable[[], int]) -> None:
    """Make all agents of this process take the time from a clock."""
    wrong: Any = WrongTime(clock_ns)
    for name, module in list(sys.modules.items()):
        if name.startswith(_AGENT) and name != __name__ and vars(module).get("time") is time:
            vars(module)["time"] = wrong


class LightRobot:
    """One robot: an agent, and a thread that records."""

    def __init__(
        self, plan: LightRobotPlan, group: RobotGroupPlan, replay: TakeReplay, tasks: list[Task],
        orders: GroupOrderBook,
    ) -> None:  # fmt: skip
        """Create it; ``start`` starts it.

        Args:
            plan: its own.
            group: of its process.
            replay: what it records.
            tasks: that it performs.
            orders: what it does now.
        """
        self._plan = plan
        self._group = group
        self._orders = orders
        self._root = Path(plan.root)
        journal = SimJournal(Path(plan.journal))
        # After a crash, chance goes on otherwise than from the beginning.
        self._rng = random.Random(f"{plan.seed}-{len(journal.lines())}")
        self._recorder = SimRecorder(
            open_store(self._root), plan.robot, replay, journal, tasks,
            group.target, orders.clock_ns, self._rng,
        )  # fmt: skip
        self._ended = threading.Event()
        self._turning = False
        self._agent: StationAgent | None = None
        self._thread = threading.Thread(target=self._run, name=plan.robot, daemon=True)

    def start(self) -> None:
        """Start recording and sending."""
        self._thread.start()

    def stop(self) -> None:
        """End both in good order."""
        self._ended.set()
        self._thread.join()
        if self._agent is not None:
            self._agent.stop()

    def state(self) -> dict[str, Any]:
        """Return what the floor has to know to see that all is sent; plain values."""
        busy = self._turning or self._orders.now.recording or self._agent is None
        return {"recording": busy, "waiting": self._waiting(), "at_s": time.time()}

    def _waiting(self) -> int:
        """Return how many episodes are not acknowledged, or whose labels the centre does not have."""
        if self._agent is None:
            return -1
        outbox = self._agent.outbox
        counts, seen = outbox.counts(), outbox.seen()
        unsent = sum(counts.get(state, (0, 0))[0] for state in _UNSENT)
        # On a full disk the agent is not told of changes: it finds them when it looks at everything.
        paths = open_store(self._root).paths()
        unseen = sum(seen.get(path.name) != metadata_signature(path) for path in paths)
        return unsent + unseen + len(outbox.to_offer(1000)) + len(outbox.untold())

    def _run(self) -> None:
        group = self._group
        try:
            self._begin()
            pause_s = self._rng.uniform(0, group.pace_s)  # not all robots at once
            while not self._ended.wait(pause_s):
                pause_s = group.pace_s * self._rng.uniform(0.7, 1.3) - group.take_s
                self._recorder.recording = self._orders.now.recording
                if not self._recorder.recording:
                    continue
                self._turning = True
                self._show_take()
                self._recorder.turn()
                self._turning = False
        except RecorderError:
            logging.getLogger(__name__).exception("%s ends", self._plan.robot)

    def _begin(self) -> None:
        """Start recorder and agent, again and again on a disk that is full."""
        while not self._ended.is_set():
            try:
                self._recorder.begin()
                self._agent = StationAgent(self._root, self._settings())
                self._agent.start()
                break
            except (RecorderError, OSError) as error:
                logging.getLogger(__name__).warning("%s: %s", self._plan.robot, error)
                self._ended.wait(1.0)

    def _show_take(self) -> None:
        """Let the wall show a running take for as long as it would have taken."""
        if self._agent is None or not self._group.take_s:
            return
        task, person = self._recorder.next_task, self._recorder.operator
        view = RecorderView("recording", f"{self._plan.robot}_now", task, person)
        end_s = time.monotonic() + self._group.take_s
        while time.monotonic() < end_s and not self._ended.wait(_SHOWN_S):
            self._agent.live.hear(view)
        self._agent.live.hear(replace(view, state="idle", episode=None))

    def _settings(self) -> AgentSettings:
        return AgentSettings(
            centre=self._group.url,
            site=self._plan.site,
            robot=self._plan.robot,
            token=self._plan.token,
            public_keys=self._group.publics,
            while_recording=WhileRecording.SEND,
            keep_days=max(self._group.free_after_s, 1e-3) / 86_400,
            delete=DeleteWhen.AGED,
        )


def main() -> int:
    """Run the robots of a plan until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    threading.stack_size(512 * 1024)
    group = RobotGroupPlan.read(options.plan)
    orders = GroupOrderBook(Path(group.control))
    give_agents_a_clock(orders.clock_ns)
    replay, tasks = TakeReplay(Path(group.template)), task_choice(load_tasks().tasks)
    robots = [LightRobot(plan, group, replay, tasks, orders) for plan in group.robots]
    for robot in robots:
        robot.start()
    _watch(robots, group, orders, ended)
    endings = [threading.Thread(target=robot.stop) for robot in robots]
    for ending in endings:
        ending.start()
    for ending in endings:
        ending.join()
    return 0


def _watch(
    robots: list[LightRobot], group: RobotGroupPlan, orders: GroupOrderBook, ended: threading.Event
) -> None:
    """Read orders, and write how far the robots are."""
    written_s = 0.0
    while not ended.wait(_ORDERS_S):
        orders.read()
        if time.monotonic() - written_s < _STATE_S:
            continue
        written_s = time.monotonic()
        for robot, plan in zip(robots, group.robots, strict=True):
            with suppress(OSError, RecorderError):
                path = Path(plan.journal).with_suffix(".state")
                replace_text(path, json.dumps(robot.state()))


if __name__ == "__main__":
    sys.exit(main())
