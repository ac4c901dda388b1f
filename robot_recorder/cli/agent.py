"""The command ``agent``: send a robot's episodes to the centre, and see how far they are."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_error, say_json, say_while_read
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.floor.agent.agent import StationAgent
    from robot_recorder.floor.agent.outbox import Outbox

_LOOK_S = 0.2
_ENDED_S = 1.0


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "root", nargs="?", default=Path("episodes"), type=Path,
        help="directory of the episodes, the recorder's; default: episodes",
    )  # fmt: skip


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument(
        "--config", default=Path("agent.yaml"), type=Path, metavar="FILE",
        help="its configuration; default: agent.yaml. config/agent.yaml is a commented example",
    )  # fmt: skip
    parser.add_argument(
        "--once", action="store_true",
        help="end when every episode is acknowledged, or when nothing can go on",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.floor.agent.agent import StationAgent
    from robot_recorder.floor.agent.settings import load_settings

    settings = load_settings(options.config)
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    agent = StationAgent(options.root.expanduser().absolute(), settings, say_while_read)
    try:
        agent.start()
        say_while_read(
            f"sending {options.root} to {settings.centre} as {settings.site}/{settings.robot}"
        )
        code = _once(agent, ended) if options.once else _until(agent, ended)
    finally:
        agent.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return code


def _until(agent: StationAgent, ended: threading.Event) -> int:
    while not ended.wait(_ENDED_S):
        if agent.is_over:
            return _taken_over(agent)
    return ExitCode.OK


def _taken_over(agent: StationAgent) -> int:
    say_error(agent.alarms.sentences()[-1])  # another agent has the root
    return ExitCode.FINDING


def _once(agent: StationAgent, ended: threading.Event) -> int:
    """Wait until everything is acknowledged, or nothing goes on."""
    while not ended.wait(_LOOK_S):
        if agent.is_over:
            return _taken_over(agent)
        left, why = agent.unfinished()
        if not left:
            say_while_read("every episode is acknowledged")
            return ExitCode.OK
        if why:
            say_error(f"{plural(left, 'episode')} not acknowledged: {why}")
            return ExitCode.FINDING
    return ExitCode.INTERRUPTED


def _add_status_arguments(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    add_json(parser)


def _status(options: argparse.Namespace) -> int:
    from robot_recorder.floor.agent.agent import SENT_NS

    outbox = _outbox(options.root)
    try:
        counts, problems = outbox.counts(), outbox.problems()
        sent_ns = outbox.note(SENT_NS)
        waiting, waiting_bytes = outbox.waiting()
    finally:
        outbox.close()
    running = _running(options.root)
    plain = {
        "running": running is not None,
        "states": {state.value: {"episodes": n, "bytes": size} for state, (n, size) in counts.items()},
        "waiting_episodes": waiting,
        "waiting_bytes": waiting_bytes,
        "sent_ns": sent_ns,
        "alarms": running["alarms"] if running else None,
        "problems": problems,
    }  # fmt: skip
    say_json(plain) if options.json else _print(plain)
    return ExitCode.FINDING if problems or plain["alarms"] else ExitCode.OK


def _print(plain: dict[str, Any]) -> None:
    from robot_recorder.cli.tables import Table, table_console
    from robot_recorder.episodes.trash import utc

    table = Table("state", "episodes", "MB")
    for state, found in plain["states"].items():
        table.add_row(state, f"{found['episodes']:,}", f"{found['bytes'] / 1e6:,.1f}")
    if plain["states"]:
        table_console().print(table)
    sent = utc(plain["sent_ns"]) if plain["sent_ns"] else "never"
    waiting = plural(plain["waiting_episodes"], "episode")
    say(f"waiting: {waiting}, {plain['waiting_bytes'] / 1e6:,.1f} MB; last sent: {sent}")
    if not plain["running"]:
        say("no agent is running: start one with robot-recorder agent ROOT --config agent.yaml")
    for alarm in plain["alarms"] or []:
        say(f"alarm: {alarm}")
    for name, problem in plain["problems"].items():
        say(f"{name}: {problem}")


def _running(root: Path) -> dict[str, Any] | None:
    """Return what a running agent says of itself; None: none runs."""
    from robot_recorder.floor.agent_status import agent_alarms

    alarms = agent_alarms(root, time.time_ns())
    return None if alarms is None else {"alarms": alarms}


def _add_send_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=Path, help="directory of the episodes")
    parser.add_argument("id", nargs="+", help="episodes whose data is sent before others")


def _send(options: argparse.Namespace) -> int:
    from robot_recorder.episodes.store import EpisodeStore

    store = EpisodeStore(options.root)
    names = [store.find(id).name for id in options.id]
    outbox = _outbox(options.root)
    try:
        outbox.ask(names)
        for name in names:
            row = outbox.row(name)
            say(f"{name}: {'is next' if row is not None and row.is_asked else 'was sent already'}")
    finally:
        outbox.close()
    return ExitCode.OK


def _outbox(root: Path) -> Outbox:
    from robot_recorder.floor.agent.outbox import FILE, Outbox

    if not root.is_dir():
        raise ConfigError(f"{root} is not a directory: give the root of the recorder")
    if not (root / FILE).is_file():
        raise BagError(
            f"no agent has sent anything of {root} yet: start one with robot-recorder agent {root} --config agent.yaml"
        )
    return Outbox(root)


COMMAND = Command(
    name="agent",
    summary="send episodes to the centre, and delete what is safe there",
    details="Metadata and labels are sent at once, data by priority and bandwidth. An episode is deleted from "
    "this disk only on a receipt that the centre signed after reading its copy back.",
    examples=(
        "robot-recorder agent /data/episodes --config agent.yaml",
        "robot-recorder agent status /data/episodes",
        "robot-recorder agent send /data/episodes ID",
    ),
    add_arguments=_add_arguments,
    run=_run,
    actions=(
        Command(
            name="status",
            summary="how many episodes are how far, and what is in the way",
            examples=("robot-recorder agent status /data/episodes --json",),
            add_arguments=_add_status_arguments,
            run=_status,
        ),
        Command(
            name="send",
            summary="send these episodes before others",
            examples=("robot-recorder agent send /data/episodes ID OTHER_ID",),
            add_arguments=_add_send_arguments,
            run=_send,
        ),
    ),
)
