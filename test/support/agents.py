"""Real agents against a real centre, and a proxy between them that does what networks do."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.episodes.episode import episode_id
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.agent.agent import StationAgent
from robot_recorder.floor.agent.outbox import OutboxRow, SendState
from robot_recorder.floor.agent.settings import AgentSettings, DeleteWhen, WhileRecording
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support.centres import CentreProcess
from support.samples import wrench, wrench_topic

SITE, ROBOT = "berlin", "arm"
DAY_NS = 86_400 * 10**9
NOTES = BagTopic("/notes", "std_msgs/msg/String", (OfferedQos(),), "", "string data\n")


def until(
    condition: Callable[[], object], what: str | Callable[[], str] = "", timeout_s: float = 30.0
) -> None:
    """Wait until a condition holds; fail if it does not, and say ``what``, as it is then."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError(
                (what() if callable(what) else what) or "it did not happen in time"
            )
        time.sleep(0.02)


def record(
    store: EpisodeStore,
    number: int = 0,
    megabytes: float = 0.0,
    days_ago: float = 1.0,
    **facts: str,
) -> Path:
    """Record an episode as a recorder does; return its directory.

    Args:
        store: to record into.
        number: each is another episode.
        megabytes: of incompressible content.
        days_ago: when it was recorded.
        facts: further custom_data, such as ``verdict``.
    """
    start_ns = time.time_ns() - round(days_ago * DAY_NS) + number * 10**9
    partial = store.new_partial(episode_id(ROBOT, "lift", start_ns))
    id = partial.stem
    writer = McapWriter()
    writer.open(partial, {})
    channels = Channel(wrench_topic()), Channel(NOTES)
    for channel in channels:
        writer.add_topic(channel)
    stamps = [start_ns + i * 10**7 for i in range(100)]
    samples = [
        Sample(channels[0], wrench(at, (number, 2, 3, 4, 5, 6)), at, at - 1000) for at in stamps
    ]
    rng = np.random.default_rng(number)
    for i in range(int(megabytes)):
        text = rng.bytes(500_000).hex().encode() + b"\0"
        data = b"\0\1\0\0" + struct.pack("<I", len(text)) + text
        samples.append(Sample(channels[1], data, stamps[-1] + i, stamps[-1] + i))
    writer.write(samples)
    writer.close()
    task = LabelEvent(start_ns, id, LabelKind.TASK, by="ann", task="lift", operator_name="ann")
    own = {
        "episode_id": id, "robot": ROBOT, "start_ns": str(start_ns), "stop_ns": str(stamps[-1]),
        **label_facts([task]), **facts,
    }  # fmt: skip
    return store.finalise(partial, own)


def outcome(id: str, result: Outcome = Outcome.SUCCESS, by: str = "ann") -> LabelEvent:
    """Return a label, given now."""
    return LabelEvent(time.time_ns(), id, LabelKind.OUTCOME, by=by, outcome=result)


@dataclass
class Station:
    """A root with an agent that is started and stopped.

    Attributes:
        root: directory of the episodes.
        settings: of the agent.
        said: what the agents said so far.
    """

    root: Path
    settings: AgentSettings
    said: list[str] = field(default_factory=list)

    @property
    def store(self) -> EpisodeStore:
        """Return the recorder's store."""
        return open_store(self.root)

    @contextmanager
    def agent(self, settings: AgentSettings | None = None) -> Iterator[StationAgent]:
        """Run an agent."""
        agent = StationAgent(self.root, settings or self.settings, self.said.append)
        agent.start()
        try:
            yield agent
        finally:
            agent.stop()

    def config(self) -> Path:
        """Write the configuration as a file and return it; for agents of their own process."""
        token = self.root.parent / "agent.token"
        token.touch(mode=0o600)
        token.write_text(self.settings.token)
        path = self.root.parent / "agent.yaml"
        days = self.settings.keep_days
        path.write_text(
            f"centre: {self.settings.centre}\nsite: {SITE}\nrobot: {ROBOT}\ntoken: {token}\n"
            f"public_keys: {list(self.settings.public_keys)}\nwhile_recording: send\n"
            f"keep_days: {'never' if days is None else days}\ndelete: {self.settings.delete.value}\n"
        )
        return path

    def process(self, *options: str) -> subprocess.Popen[str]:
        """Start an agent as a process of its own."""
        run = "import sys; from robot_recorder.cli.main import main; sys.exit(main())"
        command = [
            sys.executable,
            "-c",
            run,
            "agent",
            str(self.root),
            "--config",
            str(self.config()),
        ]
        return subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


def station(
    folder: Path,
    centre: CentreProcess,
    url: str = "",
    robot: str = ROBOT,
    keep_days: float | None = None,
    delete: DeleteWhen = DeleteWhen.AGED,
) -> Station:
    """Return a station with a token of a centre.

    Args:
        folder: an empty root is made in it.
        centre: the real one.
        url: where the agent sends instead, such as a proxy's.
        robot: its name.
        keep_days, delete: when episodes are deleted; None: never.
    """
    root = folder / "root"
    root.mkdir(parents=True)
    settings = AgentSettings(
        centre=url or centre.url,
        site=SITE,
        robot=robot,
        token=_token(centre, robot),
        public_keys=(centre.public_key,),
        while_recording=WhileRecording.SEND,
        keep_days=keep_days,
        delete=delete,
    )
    return Station(root, settings)


_TOKENS: dict[tuple[Path, str], str] = {}  # a robot has few


def _token(centre: CentreProcess, robot: str) -> str:
    key = centre.folder, robot
    if key not in _TOKENS:
        _TOKENS[key] = centre.token(SITE, robot)
    return _TOKENS[key]


def row_of(agent: StationAgent, path: Path) -> OutboxRow:
    """Return an episode of an agent's outbox."""
    row = agent.outbox.row(path.name)
    assert row is not None
    return row


def reaches(agent: StationAgent, path: Path, state: SendState, timeout_s: float = 30.0) -> None:
    """Wait until an episode is in a state."""
    outbox = agent.outbox

    def there() -> bool:
        row = outbox.row(path.name)
        return row is not None and row.state is state

    until(there, lambda: f"{path.name} is {outbox.row(path.name)}, not {state}", timeout_s)


@dataclass
class ProxyFaults:
    """What a proxy does to connections; each may be changed while it runs.

    Attributes:
        is_dead: whether it takes no connection.
        drop_answers: how many answers are lost, after the server did what was asked.
        cut_after: bytes of a request after which the connection is reset; None: none.
        cut_answer_after: bytes of an answer after which it ends; None: none.
        delay_s: before anything is passed on.
        only: a text that a request's first line must have for a fault to happen.
        chance: of a fault.
        happened: how many faults there were.
    """

    is_dead: bool = False
    drop_answers: int = 0
    cut_after: int | None = None
    cut_answer_after: int | None = None
    delay_s: float = 0.0
    only: str = ""
    chance: float = 1.0
    most: int = 1_000_000
    happened: int = 0


class FaultProxy:
    """Passes TCP connections on to a centre, and spoils some of them.

    Attributes:
        url: where it listens.
        faults: what it does.
    """

    def __init__(self, target: str) -> None:
        """Start it in front of an address."""
        self.faults = ProxyFaults()
        self._rng = random.Random(7)
        place = urlsplit(target)
        self._target = place.hostname or "", place.port or 80
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop it and end all connections."""
        self._socket.close()
        self.cut()

    def cut(self) -> None:
        """Reset all connections."""
        for one in list(self._open):
            _reset(one)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                if self.faults.is_dead:
                    _reset(near)
                    continue
                threading.Thread(target=self._pass, args=(near,), daemon=True).start()

    def _pass(self, near: socket.socket) -> None:
        with suppress(OSError):
            far = socket.create_connection(self._target)
            self._open |= {near, far}
            spoilt = threading.Event()
            back = threading.Thread(target=self._answers, args=(far, near, spoilt), daemon=True)
            back.start()
            self._requests(near, far, spoilt)
            with suppress(OSError):
                far.shutdown(socket.SHUT_WR)
            back.join(10)
            self._open -= {near, far}
            near.close()
            far.close()

    def _is_hit(self, head: bytes) -> bool:
        faults = self.faults
        return (
            faults.only.encode() in head.split(b"\r\n")[0]
            and faults.happened < faults.most
            and self._rng.random() < faults.chance
        )

    def _requests(self, near: socket.socket, far: socket.socket, spoilt: threading.Event) -> None:
        passed, is_hit = 0, False
        while data := near.recv(1 << 16):
            if self.faults.is_dead:
                _reset(near)
                return
            time.sleep(self.faults.delay_s)
            if data.split(b" ")[0] in (b"POST", b"PUT", b"GET"):  # the beginning of a request
                passed, is_hit = 0, self._is_hit(data)
                spoilt.set() if is_hit else spoilt.clear()
            cut = self.faults.cut_after
            if is_hit and cut is not None and passed + len(data) > cut:
                self.faults.happened += 1
                far.sendall(data[: cut - passed])
                _reset(near)
                return
            far.sendall(data)
            passed += len(data)

    def _answers(self, far: socket.socket, near: socket.socket, spoilt: threading.Event) -> None:
        with suppress(OSError):
            while data := far.recv(1 << 16):
                faults = self.faults
                if spoilt.is_set() and faults.drop_answers > 0:
                    faults.drop_answers -= 1
                    faults.happened += 1
                    _reset(near)
                    return
                if spoilt.is_set() and faults.cut_answer_after is not None:
                    faults.happened += 1
                    near.sendall(data[: faults.cut_answer_after])
                    near.shutdown(socket.SHUT_RDWR)
                    return
                near.sendall(data)


def _reset(one: socket.socket) -> None:
    """End a connection without a good-bye."""
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        one.close()


@contextmanager
def proxy(target: str) -> Iterator[FaultProxy]:
    """Run a proxy in front of an address."""
    running = FaultProxy(target)
    try:
        yield running
    finally:
        running.close()
