"""The demo: a simulated humanoid, the recorder, and an operator who calls the services.

Everything runs as on a robot: each node is a process, and the operator uses only services and
topics that a person at a terminal, with a pedal or a headset would use.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node
from std_msgs.msg import String

from robot_recorder.catalogue.entry import entry_of
from robot_recorder.cli.certificate_table import print_certificate
from robot_recorder.cli.episodes_table import episodes_table, streams_table
from robot_recorder.cli.processes import ended, node_command
from robot_recorder.cli.tables import Console, PlainText, table_console
from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import RecorderError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import StreamHealth
from robot_recorder.msg import EpisodeStatus
from robot_recorder.nodes.conversions import to_time
from robot_recorder.nodes.runtime import LATCHED
from robot_recorder.offline.align import align_episode
from robot_recorder.offline.plan import make_plan
from robot_recorder.report.html import write_html
from robot_recorder.report.picture import draw
from robot_recorder.report.sync_picture import draw_sync
from robot_recorder.srv import (
    Annotate,
    MarkOutcome,
    PerformTask,
    SetTask,
    StartEpisode,
    StopEpisode,
)

PRE_ROLL_S = 0.5
# Task and seed of each attempt: the seed sets mass, friction and pose, the physics the outcome.
ATTEMPTS = {
    "workbench": (("lift_box", 1), ("carry_tray", 3), ("lift_box", 3)),
    "assembly_line": (
        ("sort_materials", 0),
        ("kit_parts", 0),
        ("package_goods", 0),
        ("return_box", 0),
    ),
    "smart_home": (
        ("fetch_from_shelf", 0),
        ("set_table", 0),
        ("wipe_table", 0),
        ("put_away_cup", 0),
    ),
    "laundry": (("fold_cloth", 2), ("fold_cloth", 3), ("fold_cloth", 4)),
    "eldercare": (
        ("hand_over_glass", 0),
        ("serve_tray", 0),
        ("open_pill_box", 0),
        ("bring_walker", 0),
        ("pour_drink", 3),
    ),
}

_BETWEEN = ("idle", "retreat")  # phases that are not part of the task


class Operator(Node):
    """An operator who controls the recorder through its services."""

    def __init__(self) -> None:
        super().__init__("demo_operator")
        self.status: EpisodeStatus | None = None
        self.result: dict[str, Any] = {}
        self.lost: tuple[float, int] = (0.0, 0)
        self.create_subscription(EpisodeStatus, "recorder/status", self._on_status, LATCHED)
        self.create_subscription(String, "sim/result", self._on_result, LATCHED)

    def _on_status(self, status: EpisodeStatus) -> None:
        self.status = status

    def _on_result(self, message: String) -> None:
        self.result = json.loads(message.data)

    def call(self, kind: Any, name: str, request: Any = None) -> Any:
        """Call a service and return its answer.

        Raises:
            RecorderError: the service does not exist, does not answer, or refuses.
        """
        client: Any = self.create_client(kind, name)
        try:
            if not client.wait_for_service(20):
                raise RecorderError(f"service {name} does not exist: did its node start?")
            future = client.call_async(request or kind.Request())
            rclpy.spin_until_future_complete(self, future, timeout_sec=30)
            answer = future.result()
            if answer is None or not answer.success:
                raise RecorderError(f"{name}: {answer.message if answer else 'no answer in 30 s'}")
            return answer
        finally:
            self.destroy_client(client)

    def wait(self, what: str, condition: Any, timeout_s: float) -> None:
        """Spin until a condition holds.

        Raises:
            RecorderError: it does not hold in time.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise RecorderError(f"waited {timeout_s:.0f} s for {what}")
            rclpy.spin_once(self, timeout_sec=0.1)

    def all_streams_arrive(self) -> bool:
        """Return whether every required stream is OK, except those of a headset that drives."""
        return self.status is not None and all(
            s.health == StreamHealth.OK
            for s in self.status.streams
            if s.required and not s.name.startswith("teleop_")
        )

    def attempt(self, task: str, seed: int, console: Console) -> Path:
        """Record one attempt and return the episode's directory."""
        self.call(SetTask, "labeller/set_task", SetTask.Request(task=task, operator_name="demo"))
        self.call(
            PerformTask, "sim/perform", PerformTask.Request(task=task, seed=seed, only_reset=True)
        )
        self.wait("all streams to arrive", self.all_streams_arrive, 20)
        # Wait, so that the pre-roll does not show the simulator setting up the scene.
        ready = time.monotonic() + PRE_ROLL_S + 0.1
        self.wait("the pre-roll", lambda: time.monotonic() > ready, 5)
        started = self.call(
            StartEpisode, "recorder/start_episode", StartEpisode.Request(pre_roll_s=PRE_ROLL_S)
        )
        console.print(f"  {started.message}")
        self.result = {}
        self.call(PerformTask, "sim/perform", PerformTask.Request(task=task, seed=seed))
        with console.status(f"  {task}: performing") as line:

            def done() -> bool:
                if self.status is not None and self.status.state == EpisodeStatus.STATE_RECORDING:
                    line.update(
                        f"  {task}: {self.status.duration_s:4.1f} s, {self.status.messages} messages, "
                        f"{self.status.size_bytes / 1e6:.1f} MB, {self.status.dropped + self.status.lost_dds} lost"
                    )
                return self.result.get("state") == "done"

            self.wait("the robot to finish", done, 40)
        self._annotate()
        result = self.result
        outcome = Outcome.SUCCESS if result["success"] else Outcome.FAILURE
        request = MarkOutcome.Request(
            outcome=int(outcome), cause=result["cause"], note=result["detail"], by="physics"
        )
        marked = self.call(MarkOutcome, "labeller/mark_outcome", request)
        stopped = self.call(StopEpisode, "recorder/stop_episode")
        console.print(f"  {marked.message}: {result['detail']}")
        console.print(f"  {stopped.message}")
        self._report_real_time(console)
        return Path(stopped.path)

    def _report_real_time(self, console: Console) -> None:
        """Tell if this machine could not run the simulation in real time."""
        lost = self.result["real_time_given_up_ms"], self.result["pictures_left_out"]
        if lost != self.lost:
            console.print(
                PlainText("  this machine is busy:", "yellow"),
                f"the simulation gave up {lost[0] - self.lost[0]:.0f} ms "
                f"of real time and left out {lost[1] - self.lost[1]} pictures",
            )
        self.lost = lost

    def _annotate(self) -> None:
        """Annotate each phase of the motion as a segment, and each physical event as an instant."""
        phases = self.result["phases"]
        for (start, name), (end, _) in pairwise(phases):
            if name not in _BETWEEN:
                self._note(name, start, end)
        for ns, name in self.result["events"]:
            if [ns, name] not in phases:
                self._note(name, ns, ns)

    def _note(self, name: str, start_ns: int, end_ns: int) -> None:
        request = Annotate.Request(
            name=name, start=to_time(start_ns), end=to_time(end_ns), by="physics"
        )
        self.call(Annotate, "labeller/annotate", request)


@contextmanager
def node_process(
    name: str, log: Path, parameters: Mapping[str, object]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an executable of this package as a process with a log file."""
    command = node_command(name, parameters)
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        with ended(process):
            yield process


@contextmanager
def robot(options: argparse.Namespace, logs: Path, console: Console) -> Iterator[Operator]:
    """Run the simulated robot and its recorder; yield an operator when all streams arrive.

    Raises:
        RecorderError: one of them ended.
    """
    cache, root = str((options.cache / "sim").absolute()), str(options.root.absolute())
    with (
        node_process(
            "sim_robot", logs / "sim_robot.log", {"cache": cache, "place": options.place}
        ) as sim,
        node_process("record", logs / "record.log", {"root": root, **_profile(options)}) as record,
    ):
        operator = Operator()
        with console.status("waiting for all streams (the first run prepares the 3D model)"):
            operator.wait(
                "all streams to arrive",
                lambda: operator.all_streams_arrive() or sim.poll() or record.poll(),
                120,
            )
        for name, process in (("sim_robot", sim), ("record", record)):
            if process.poll() is not None:
                raise ended_early(name, logs, console)
        yield operator


def _profile(options: argparse.Namespace) -> dict[str, str]:
    """Return the parameter of who works with the streams: a headset has some of its own."""
    return {"profile": "g1_teleop"} if options.teleop else {}


def serve_console(
    options: argparse.Namespace, logs: Path, operator: Operator, console: Console
) -> int:
    """Run the operator node and the console until Ctrl-C.

    Raises:
        RecorderError: one of them ended.
    """
    root, language = str(options.root.absolute()), options.language
    common = {"root": root, "language": language, **_profile(options)}
    page = {**common, "port": options.port}
    desk = {**common, "station": "demo"}
    teleop: AbstractContextManager[Any] = nullcontext()
    if options.teleop:
        desk["buttons"] = "teleop"
        cache = {"cache": str((options.cache / "sim").absolute())}
        teleop = node_process("teleop", logs / "teleop.log", cache)
    with (
        node_process("operator", logs / "operator.log", desk) as shift,
        node_process("console", logs / "console.log", page) as server,
        node_process("sim_hands", logs / "sim_hands.log", {"performs": not options.teleop}),
        teleop,
    ):
        log = logs / "console.log"

        def address() -> str:
            lines = log.read_text(errors="replace").splitlines()
            return next((line for line in lines if line.startswith("console: ")), "")

        operator.wait("the console", lambda: address() or server.poll() or shift.poll(), 30)
        console.print(f"{address()}   open it in a browser; Ctrl-C ends everything")
        if options.teleop:
            console.print(f"the page for a headset: {address().removeprefix('console: ')}teleop")
        else:
            tasks = ", ".join(dict.fromkeys(task for task, _ in ATTEMPTS[options.place]))
            console.print(f"tasks that the simulated robot performs by itself: {tasks}")
        while server.poll() is None and shift.poll() is None:
            rclpy.spin_once(operator, timeout_sec=0.2)
        raise ended_early("console" if server.poll() is not None else "operator", logs, console)


def ended_early(name: str, logs: Path, console: Console) -> RecorderError:
    """Print the log of a process that ended, and return the error to raise."""
    console.print(f"log of {name}:")
    for line in (logs / f"{name}.log").read_text(errors="replace").splitlines():
        console.print(f"  {line}")
    return RecorderError(f"{name} ended")


def main() -> int:
    """Entry point of ``make demo``, ``make console`` and ``make teleop``."""
    parser = argparse.ArgumentParser(description="record episodes of a simulated humanoid")
    parser.add_argument("--root", type=Path, default=Path("episodes"), help="where episodes go")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="prepared model, logs")
    parser.add_argument("--episodes", type=int, default=0, help="how many attempts; 0: each once")
    parser.add_argument(
        "--place", choices=ATTEMPTS, default="workbench", help="where the robot works"
    )
    parser.add_argument("--console", action="store_true", help="let somebody at a console do it")
    parser.add_argument("--teleop", action="store_true", help="let somebody with a headset do it")
    parser.add_argument("--port", type=int, default=0, help="of the console; 0: any free one")
    parser.add_argument("--language", default="en", help="of the console: en, zh or de")
    options = parser.parse_args()
    console = table_console()
    began = time.monotonic()
    logs = (options.cache / "logs").absolute()
    logs.mkdir(parents=True, exist_ok=True)
    rclpy.init()
    paths: list[Path] = []
    try:
        console.print("starting the simulated robot and the recorder")
        with robot(options, logs, console) as operator:
            if options.console or options.teleop:
                return serve_console(options, logs, operator, console)
            attempts = ATTEMPTS[options.place]
            episodes = options.episodes or len(attempts)
            for number in range(episodes):
                task, seed = attempts[number % len(attempts)]
                seed += number // len(attempts) * 4
                console.print(f"episode {number + 1} of {episodes}: {task}")
                paths.append(operator.attempt(task, seed, console))
                if number == 0:
                    console.print(f"  first episode after {time.monotonic() - began:.0f} s")
    except RecorderError as error:
        console.print(PlainText("error:", "red"), str(error))
        console.print(f"logs are in {logs}")
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        rclpy.try_shutdown()
    _report(paths, console)
    console.print(f"done in {time.monotonic() - began:.0f} s")
    console.print("a LeRobot dataset of them: make dataset")
    console.print("record some yourself, in a browser: make console")
    return 0


def _report(paths: list[Path], console: Console) -> None:
    episodes = [Episode.open(path) for path in paths]
    console.print(streams_table(episodes))
    console.print()
    console.print(episodes_table(entry_of(episode) for episode in episodes))
    for episode in episodes:
        picture = episode.path.with_suffix(".png")
        with console.status(f"drawing {picture.name}"):
            data = load(Contents.open(episode.path))
            draw(data, picture)
            write_html(data, episode.path.with_suffix(".html"))
        console.print(
            f"picture: {os.path.relpath(picture)}, report: {os.path.relpath(picture.with_suffix('.html'))}"
        )
    if paths:
        _report_alignment(episodes[-1], console)


def _report_alignment(episode: Episode, console: Console) -> None:
    """Print the last episode's sync certificate and draw its picture."""
    certificate = episode.certificate
    if certificate is None:
        console.print(f"{episode.id} has no sync certificate: see record.log")
        return
    console.print()
    print_certificate(f"sync certificate of {episode.id}", certificate)
    plan = make_plan(episode)
    aligned = align_episode(episode, plan, plan.frame_clock(None, ""))
    picture = episode.path.with_suffix(".sync.png")
    draw_sync(aligned.frames, aligned.certificate, episode.id, episode.start_ns, picture)
    console.print(f"picture: {os.path.relpath(picture)}")
