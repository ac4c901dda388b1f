"""A working day in one go: recorder, console, agent and centre under faults; what grows, and is anything lost?

make soak HOURS=8; HOURS=0.5 for half an hour

A driver does 200 takes an hour through the operator's services, a page without a browser watches the console, and
everything that can break breaks in turn. Memory, open files, threads and files are sampled all the time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import rclpy
from figures import HERE, RESULTS, SCRATCH, write_results
from processes import Background
from rclpy.node import Node
from soak_account import Watcher, account_of
from soak_floor import BALLAST, Faults, SoakFloor, faults_of, words_of
from soak_picture import SoakPanel, draw_soak
from soak_samples import (
    OF_PROCESSES,
    SIZE,
    Samples,
    Slope,
    owner,
    process_values,
    sentence,
    short,
    size_mb,
    slope_of,
    thinned,
    verdict,
)
from support.console import Page
from websockets.exceptions import WebSocketException

from robot_recorder.bags.files import KEPT_LOG_BYTES
from robot_recorder.catalogue.schema import FILE as CATALOGUE
from robot_recorder.floor.agent.outbox import FILE as OUTBOX
from robot_recorder.msg import ShiftStatus
from robot_recorder.nodes.runtime import LATCHED
from robot_recorder.srv import BeginShift, MarkOutcome, ShiftCommand

PICTURE = HERE.parent / "docs/images/soak.png"
EPISODES_PER_HOUR = 200
GB_PER_HOUR = 2.2  # that the centre keeps of the light robot
_TASK = "lift_box"
_ANSWER_S = 60.0
_ASK_S = 3.0  # between two questions of the page
_MOST_ROWS = 120
_WORDS = {
    "catalogue": "the catalogue", "catalogue_log": "the catalogue's write-ahead log", "outbox": "the outbox",
    "outbox_log": "the outbox's write-ahead log", "centre_db": "the centre's database",
    "centre_db_log": "the centre's write-ahead log", "shift": "the shift's file", "label_log": "the newest episode's label log",
    "logs": "what the programs print", "disk": "the robot's disk in use, without what fills it", "episodes": "episodes on the robot",
    "trash": "the trash", "dds_memory": "shared memory of DDS, also of killed processes", "centre_storage": "the centre's storage",
}  # fmt: skip
# What has to grow, and by what.
_BY_EPISODE = {
    "catalogue": "a row for each episode that is on the robot",
    "outbox": "a row for each episode of the last 30 days", "centre_db": "a row for each episode, and its labels",
    "centre_storage": "the episodes themselves", "shift": "the takes of this shift",
    "logs": "a few lines for each take",
}  # fmt: skip


class Driver(Node):
    """An operator who works without a break.

    Attributes:
        started: when each take began, s, by its id.
        discarded: ids in the trash.
        refused: how often each sentence came, numbers left out.
        done: commands that were answered with yes, by name.
    """

    def __init__(self, began_s: float, seed: int) -> None:
        """Create the clients."""
        super().__init__("soak_driver")
        self._asked: dict[str, Any] = {
            name: self.create_client(kind, name)
            for name, kind in (
                ("shift/begin", BeginShift),
                ("shift/command", ShiftCommand),
                ("labeller/mark_outcome", MarkOutcome),
            )
        }
        self._began_s, self._rng = began_s, random.Random(seed)
        self.shift: ShiftStatus | None = None
        self.create_subscription(ShiftStatus, "shift/status", self._on_shift, LATCHED)
        self.started: dict[str, float] = {}
        self.discarded: set[str] = set()
        self.refused: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._number = 0

    def _on_shift(self, status: ShiftStatus) -> None:
        self.shift = status

    def wait(self, seconds: float) -> None:
        """Hear for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=min(0.2, left))

    def ask(self, name: str, request: Any) -> Any:
        """Call a service; return its answer, or None if there was none or it was no."""
        client: Any = self._asked[name]
        if not client.wait_for_service(5.0):
            self._note(f"{name} does not exist")
            return None
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self, future, timeout_sec=_ANSWER_S)
        answer = future.result() if future.done() else None
        if answer is None:
            client.remove_pending_request(future)
            self._note(f"{name} did not answer")
        elif not answer.success:
            self._note(answer.message)
            return None
        return answer

    def _note(self, message: str) -> None:
        words = re.sub(r"[\w.]*_\d{8}T\w*|/\S+", "...", message)  # ids and paths
        self.refused[re.sub(r"\d+(\.\d+)?", "#", words)[:160]] += 1

    def command(self, name: str, **more: str) -> Any:
        """Give a command of the shift; an unanswered one once more with its key, as a console does."""
        self._number += 1
        request = ShiftCommand.Request(command=name, key=f"soak-{self._number}", **more)
        answer = self.ask("shift/command", request)
        if answer is not None:
            self.done[name] += 1
        return answer

    def begin(self) -> bool:
        """Begin the shift; return whether it has begun."""
        plan = BeginShift.Request(task=_TASK, operator_name="ann", target=0)
        return self.ask("shift/begin", plan) is not None

    def take(self, take_s: float) -> bool:
        """Record one take; return whether it was started."""
        answer = self.command("next")
        if answer is None or answer.state != ShiftStatus.STATE_RECORDING:
            return False
        id = str(answer.episode_id)
        self.started[id] = time.monotonic() - self._began_s
        self.wait(take_s)
        chance = self._rng.random()
        if chance < 0.10:
            self.command("failure", cause="slip")
        elif chance < 0.16:
            if self.command("discard") is not None:
                self.discarded.add(id)
                if chance < 0.12 and self.command("undo") is not None:
                    self.discarded.discard(id)
        else:
            self.command("success")
        return True

    def relabel(self, ids: list[str]) -> None:
        """Give an older take another outcome, as an inspector does."""
        if not ids:
            return
        outcome = self._rng.choice(
            (MarkOutcome.Request.OUTCOME_SUCCESS, MarkOutcome.Request.OUTCOME_FAILURE)
        )
        request = MarkOutcome.Request(outcome=outcome, episode_id=self._rng.choice(ids), by="eve")
        if self.ask("labeller/mark_outcome", request) is not None:
            self.done["relabel"] += 1


class Viewer(Background):
    """A page of the console that is open all day: cameras, state, today, episodes; in a thread.

    Attributes:
        counts: of what it got, and of its reconnections.
    """

    def __init__(self, address: str) -> None:
        """Prepare the thread."""
        self.counts: Counter[str] = Counter()
        self._address = address
        super().__init__("page")

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                with Page(self._address) as page:
                    self.counts["connections"] += 1
                    self._watch(page)
            except (OSError, WebSocketException, urllib.error.URLError, TimeoutError) as error:
                self.counts[f"lost: {type(error).__name__}"] += 1
                self._ending.wait(1.0)

    def _watch(self, page: Page) -> None:
        page.tell(type="watch", streams=["head_camera_compressed", "wrist_camera_compressed"])
        asked_s = 0.0
        while not self._ending.is_set():
            if page.hear(10.0) == "picture":
                page.tell(type="shown", stream=page.pictures.pop()[0]["stream"])
                self.counts["pictures"] += 1
            page.said.clear()
            if time.monotonic() - asked_s > _ASK_S:
                asked_s = time.monotonic()
                self._ask("/api/today")
                listed = json.loads(self._ask("/api/episodes?limit=20"))
                if listed.get("episodes"):
                    self._ask(f"/api/episodes/{listed['episodes'][0]['id']}/thumbnail.jpg")

    def _ask(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(self._address + path, timeout=30) as answer:
                self.counts["answers"] += 1
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            self.counts[f"refused: {error.code}"] += 1
            return b"{}"


def sizes(floor: SoakFloor, watcher: Watcher) -> dict[str, float]:
    """Return the sizes of files, MB, by line."""
    root, centre = floor.root, floor.folder / "centre"
    databases = {
        "catalogue": root / CATALOGUE,
        "outbox": root / OUTBOX,
        "centre_db": centre / "centre.sqlite",
    }
    newest, disk = watcher.seen.get(watcher.newest), shutil.disk_usage(floor.disk)
    found = {
        **{name: size_mb(path) for name, path in databases.items()},
        **{f"{name}_log": size_mb(Path(f"{path}-wal")) for name, path in databases.items()},
        "shift": size_mb(root / ".shift"),
        "logs": size_mb(floor.folder / "logs"),
        "trash": size_mb(root / ".trash"),
        "episodes": sum(size_mb(path) for path in root.glob("[!.]*")),
        "disk": (disk.total - disk.free) / 1e6 - size_mb(floor.disk / BALLAST),
        "centre_storage": size_mb(centre / "storage"),
        "label_log": newest.label_bytes / 1e6 if newest is not None else 0.0,
    }
    return {f"{name}.mb": value for name, value in found.items()}


def segments_of(pid: int) -> set[Path]:
    """Return the files of shared memory that a process has mapped; none if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {
        Path(line[line.index("/dev/shm/") :])
        for line in lines
        if "/dev/shm/fast" in line and "(deleted)" not in line
    }


class Sampler(Background):
    """Takes a sample every few seconds, in a thread."""

    def __init__(
        self, floor: SoakFloor, watcher: Watcher, samples: Samples, every_s: float
    ) -> None:
        """Prepare the thread."""
        self._floor, self._watcher, self._samples, self._every_s = floor, watcher, samples, every_s
        self.began_s = time.monotonic()
        self._segments: set[Path] = set()
        super().__init__("sampler")

    def _run(self) -> None:
        while not self._ending.wait(self._every_s):
            lives = self._floor.pids()
            values: dict[str, float] = {}
            for name, pid in lives.items():
                try:
                    found = process_values(pid)
                except (OSError, KeyError):  # it was killed meanwhile
                    continue
                values |= {f"{name}.{kind}": value for kind, value in found.items()}
                self._segments |= segments_of(pid)
            values |= sizes(self._floor, self._watcher)
            values["dds_memory.mb"] = sum(size_mb(path) for path in self._segments)
            self._samples.add(time.monotonic() - self.began_s, values, lives)


def work(
    floor: SoakFloor, driver: Driver, watcher: Watcher, faults: Faults, hours: float, pace_s: float,
    ending: threading.Event,
) -> Counter[str]:  # fmt: skip
    """Do takes for as long as was asked for, or until Ctrl-C; return the programs that ended by themselves."""
    rng, ended = random.Random(1), Counter[str]()
    end_s = time.monotonic() + hours * 3600

    def goes_on() -> bool:
        return time.monotonic() < end_s and not ending.is_set()

    while goes_on():
        due_s = time.monotonic() + pace_s
        while not driver.take(pace_s * 0.45) and goes_on():
            driver.wait(1.0)
        if rng.random() < 0.2:
            driver.relabel([id for id in list(watcher.seen)[-8:] if id not in driver.discarded])
        if not faults.broken:
            for name in floor.ended():  # as systemd would
                ended[name] += 1
                floor.programs[name].start()
            floor.centre.keep_alive()
        driver.wait(due_s - time.monotonic())
    return ended


def drain(floor: SoakFloor, seconds: float) -> float | None:
    """Send all that is left; return how long it took until it was acknowledged, s; None: too long."""
    began = time.monotonic()
    floor.programs["agent"].stop()
    try:
        with open(floor.folder / "logs/agent.log", "ab") as log:
            subprocess.run([*floor.agent, "--once"], stdout=log, stderr=log, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    while floor.centre.waiting():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.5)
    return time.monotonic() - began


def described(
    samples: Samples, settle_s: float
) -> tuple[dict[str, Slope | None], dict[str, dict[str, Any]]]:
    """Return how fast each line grows, and what that means, by line."""
    kinds = {kind.name: kind for kind in (*OF_PROCESSES, SIZE)}
    slopes, told = {}, {}
    for line in samples.lines():
        name, kind = owner(line), kinds[line.partition(".")[2]]
        times, values, _ = samples.line(line)
        # Files grow until the first episodes are old enough to be deleted.
        patience_s = settle_s if kind is not SIZE else max(settle_s, min(600.0, times[-1] / 3))
        slope = slopes[line] = slope_of(*samples.line(line), patience_s)
        words = _WORDS[name] if kind is SIZE else f"{name}: {kind.words}"
        says = sentence(words, kind.unit, slope, kind.tolerance)
        most = float(values.max())
        if name.endswith("_db_log") or name in ("catalogue_log", "outbox_log"):
            says = f"{words} has at most {short(most)} MB, of {KEPT_LOG_BYTES / 1e6:.1f} to which it is cut"
        if name in _BY_EPISODE and verdict(slope, kind.tolerance) == "grows":
            says += f", as it has to: {_BY_EPISODE[name]}"
        told[line] = {
            "sentence": says,
            "verdict": verdict(slope, kind.tolerance),
            "per_hour": None if slope is None else [round(v, 4) for v in (slope.per_hour, slope.low, slope.high)],
            "first": round(float(values[0]), 3), "last": round(float(values[-1]), 3),
            "most": round(most, 3),
        }  # fmt: skip
    return slopes, told


def panels(samples: Samples) -> list[SoakPanel]:
    """Return what is drawn, from top to bottom."""
    lines = samples.lines()
    found = [
        SoakPanel(kind.words, kind.unit or "number", tuple(line for line in lines if line.endswith(f".{kind.name}")))
        for kind in OF_PROCESSES
    ]  # fmt: skip
    small = (
        "catalogue",
        "catalogue_log",
        "outbox",
        "outbox_log",
        "centre_db",
        "centre_db_log",
        "shift",
        "label_log",
        "logs",
        "dds_memory",
    )
    large = ("disk", "episodes", "trash", "centre_storage")
    return [
        *found,
        SoakPanel(
            "files that are written all day", "MB", tuple(f"{name}.mb" for name in small), True
        ),
        SoakPanel("disk", "MB", tuple(f"{name}.mb" for name in large)),
    ]


def measure(options: argparse.Namespace, folder: Path, ending: threading.Event) -> dict[str, Any]:
    """Run everything, break it, count; return figures and what is behind them, and draw the picture."""
    samples = Samples(folder.with_suffix(".csv"))
    load_before = os.getloadavg()[0]
    with ExitStack() as stack:
        stack.callback(samples.close)
        floor = SoakFloor(folder, stack, options.physics)
        watcher = Watcher(floor.root, options.physics)
        sampler = Sampler(floor, watcher, samples, options.sample)
        driver, viewer = Driver(sampler.began_s, options.seed), Viewer(floor.address)
        stack.callback(driver.destroy_node)
        until_ready(floor, driver)
        faults = Faults(faults_of(floor), options.fault_every, options.seed, sampler.began_s)
        for part in (watcher, sampler, viewer, faults):
            part.start()
        ended = work(floor, driver, watcher, faults, options.hours, 3600 / options.episodes, ending)
        hours = (time.monotonic() - sampler.began_s) / 3600
        faults.stop()
        floor.centre.restart()  # Ctrl-C ends it, too
        sampler.stop()
        viewer.stop()
        drain_s = drain(floor, 120 + 300 * options.hours)
        for name, program in floor.programs.items():
            if (code := program.stop()) not in (0, None):
                ended[f"{name} with exit code {code}"] += 1
        watcher.stop()
        holdings, publics = floor.centre.holdings(), floor.centre.publics

        def broken_at(begin_s: float, end_s: float) -> list[str]:
            return [
                name for at_s, name, for_s in faults.done if at_s < end_s and at_s + for_s > begin_s
            ]

        account, counted = account_of(
            watcher, driver.started, driver.discarded, holdings, publics, broken_at
        )
        words, left_out = words_of(folder / "logs"), floor.left_out
    slopes, told = described(samples, options.settle)
    title = f"{hours * 60:.0f} minutes, {len(driver.started)} episodes, {len(faults.done)} faults; an hour's growth and its 95 % interval"
    draw_soak(samples, panels(samples), slopes, faults.done, title, options.picture)
    load_after = os.getloadavg()[0]
    figures = {
        "soak_hours": hours,
        "episodes_started": len(driver.started),
        "episodes_per_hour": len(driver.started) / hours,
        "episodes_absent": len(account["started_and_absent"]),
        "episodes_damaged": len(account["damaged"]),
        "messages_missing_and_not_reported": sum(account["missing_and_not_reported"].values()),
        **{name: number for name, number in counted.rows() if name in ("recorded", "acknowledged", "lost", "doubled", "labels", "labels_lost", "labels_differ", "freed", "freed_without_receipt")},
        "faults": len(faults.done),
        "ended_by_themselves": sum(ended.values()),
        **{f"{line}_per_hour": slope.per_hour for line, slope in slopes.items() if slope is not None},
    }  # fmt: skip
    more = {
        "machine_load_before_and_after": [round(load_before, 1), round(load_after, 1)],
        "robot": "simulated humanoid" if options.physics else "light robot",
        "sentences": [entry["sentence"] for entry in told.values()],
        "lines": told, "account": account, "faults": faults.counts(), "left_out": left_out,
        "drain_s": drain_s, "commands": dict(driver.done), "refusals": dict(driver.refused.most_common(30)),
        "page": dict(viewer.counts), "ended_by_themselves": dict(ended), "programs": words,
        "fault_times": [[round(at_s, 1), name, for_s] for at_s, name, for_s in faults.done],
        "samples": thinned(samples.rows, _MOST_ROWS),
    }  # fmt: skip
    return {"figures": figures, **more}


def until_ready(floor: SoakFloor, driver: Driver) -> None:
    """Wait until the shift has begun and a take can be started.

    Raises:
        RuntimeError: a program ended, or nothing is ready within two minutes.
    """
    end = time.monotonic() + 120
    while not driver.begin():
        driver.wait(1.0)
        if time.monotonic() > end or floor.ended():
            raise RuntimeError(
                f"not ready; ended: {floor.ended()}; {dict(driver.refused)}; see {floor.folder}/logs"
            )


def report(found: Mapping[str, Any]) -> None:
    """Print what was found, in sentences."""
    account, figures = found["account"], found["figures"]
    for says in found["sentences"]:
        print(says)
    print(f"faults: {found['faults']}")
    for sentence_ in found["left_out"]:
        print(f"left out: {sentence_}")
    print(
        f"{figures['episodes_started']} episodes started, {account['episodes_finished']} on the disk, "
        f"{account['discarded_and_deleted']} of them discarded and deleted, {account['at_centre']['discarded']} in the trash, "
        f"{figures['acknowledged']} acknowledged, {figures['lost']} lost, {figures['episodes_damaged']} damaged"
    )
    if unheard := account["finished_and_not_started"]:
        print(f"  {len(unheard)} of them were started although the answer to the driver got lost")
    for id, why in account["started_and_absent"].items():
        print(f"  {id} was started and is not there; broken then: {', '.join(why) or 'nothing'}")
    print(
        f"{account['messages_written']:,} messages written, {account['messages_reported_lost']:,} reported lost"
    )
    if account["numbered_messages_missing"] is not None:
        print(
            f"of the numbered ones {account['numbered_messages_missing']} are missing, "
            f"{figures['messages_missing_and_not_reported']} of them without a report"
        )
    for says in account["complaints"]:
        print(f"  {says}")
    print(f"ended by themselves: {found['ended_by_themselves'] or 'none'}")


def main() -> None:
    """Measure, print, and write results and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--episodes", type=float, default=EPISODES_PER_HOUR, help="an hour")
    parser.add_argument(
        "--fault-every",
        type=float,
        default=None,
        help="s; default: each comes at least twice, none sooner than after 45 s",
    )
    parser.add_argument("--sample", type=float, default=5.0, help="s between two samples")
    parser.add_argument(
        "--settle",
        type=float,
        default=None,
        help="s of each life of a process that its growth leaves out",
    )
    parser.add_argument(
        "--physics",
        action="store_true",
        help="the simulated humanoid instead of the light robot: a core more",
    )
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument(
        "--folder",
        type=Path,
        default=SCRATCH / "soak",
        help="for all that is written; emptied before",
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "soak.json")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    seconds = options.hours * 3600
    if options.fault_every is None:
        options.fault_every = min(max(45.0, seconds / 25), 300.0)
    if options.settle is None:
        options.settle = min(600.0, seconds / 6)
    folder: Path = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    needed, free = GB_PER_HOUR * options.hours + 4, shutil.disk_usage(folder).free / 1e9
    if free < needed:
        parser.error(
            f"{folder} has {free:.0f} GB free, {options.hours:g} h need {needed:.0f}: give another --folder"
        )
    ending = threading.Event()

    def end(*_: object) -> None:
        print("counting what there is; once more: ends at once")
        ending.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, end)
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    found = measure(options, folder, ending)
    rclpy.try_shutdown()
    report(found)
    command = f"make soak HOURS={options.hours:g}"
    write_results(options.out, command, found.pop("figures"), **found)
    print(
        f"picture: {options.picture}, figures: {options.out}, every sample: {folder}.csv, logs: {folder}/logs"
    )


if __name__ == "__main__":
    main()
