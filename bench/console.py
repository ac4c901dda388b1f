"""How soon the console answers and shows, and what it costs the recorder.

make bench-console ARGS="--repeats 3 --minutes 10"
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from figures import RESULTS, SCRATCH, write_results
from processes import cpu_s, rss_mb
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from support.console import Page
from support.console_floor import ConsoleFloor
from support.robot import PROFILE
from support.shifts import ShiftBench
from support.tabs import Tab, browser

from robot_recorder.srv import MarkOutcome, StartEpisode, StopEpisode

CAMERAS = [f"camera_{n}" for n in range(1, 4)]
WATCHERS = 8
TAKE_S = 1.0
# When the page changes after a key: stamped where it happens, in the browser.
_STAMPS = """
window.stamps = {key: 0, key_ms: 0, answered: 0, recording: 0, verdict: 0};
addEventListener("keydown", () => {
  window.stamps.key = performance.now();
  window.stamps.key_ms = performance.timeOrigin + performance.now();
}, true);
new MutationObserver(() => {
  const state = document.querySelector("#state")?.dataset.state;
  const verdict = document.querySelector("#verdict")?.dataset.verdict;
  if (state === "recording" && window.stamps.last !== "recording") window.stamps.recording = performance.now();
  if (verdict !== "none" && state !== "recording" && window.stamps.last === "recording") {
    requestAnimationFrame(() => { window.stamps.verdict = performance.now(); });
  }
  window.stamps.last = state;
  const answer = document.querySelector("#answer")?.dataset.answer;
  if (answer === "ok" && window.stamps.answer !== "ok") window.stamps.answered = performance.now();
  window.stamps.answer = answer;
}).observe(document, {subtree: true, attributes: true});
"""
# The age of every picture when it was drawn, by its camera's stamp.
_DRAWN = """
const Real = window.WebSocket;
window.WebSocket = class extends Real {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({data}) => {
      if (typeof data === "string") return;
      const blob = data instanceof Blob ? data.arrayBuffer() : Promise.resolve(data);
      blob.then(bytes => {
        const length = new DataView(bytes).getUint32(0);
        const header = JSON.parse(new TextDecoder().decode(bytes.slice(4, 4 + length)));
        (window.sources ??= {})[header.stamp_ms] = header.source_ms;
      });
    });
  }
};
window.ages = [];
new MutationObserver(changes => {
  for (const {target} of changes) {
    const source = window.sources?.[Number(target.dataset.stampMs)];
    if (source) window.ages.push(Date.now() - source);
  }
}).observe(document, {subtree: true, attributes: true, attributeFilter: ["data-drawn-ms"]});
"""


class FourCameras(ShiftBench):
    """The bench's robot with four cameras of 640x480 at 15 Hz."""

    def __init__(self) -> None:
        super().__init__()
        self._pictures = [_picture(n) for n in range(15)]
        self._ticks = 0
        create = self.node.create_publisher
        for name in CAMERAS:
            topic = f"/{name}/compressed"
            publisher = create(CompressedImage, topic[1:], qos_profile_sensor_data)
            self.publishers[topic] = publisher, self._picture
        old, _ = self.publishers["/camera/image/compressed"]
        self.publishers["/camera/image/compressed"] = old, self._picture

    def _picture(self) -> Any:
        return CompressedImage(format="jpeg", data=self._pictures[self._ticks % 15])

    def publish(self) -> None:
        """Publish numbers at the rate of the calls, pictures at a quarter of it."""
        self._ticks += 1
        now_ns = time.time_ns()
        for name, (publisher, make) in self.publishers.items():
            if "camera" in name and self._ticks % 4:
                continue
            message = make()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
            publisher.publish(message)


def _picture(number: int) -> bytes:
    """Return a JPEG of 640x480 with noise, about 60 kB."""
    noise = np.random.default_rng(number).integers(0, 60, (480, 640, 3), dtype=np.uint8)
    noise[:, 40 * number : 40 * number + 40] += 150
    return bytes(cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes())


def profile() -> str:
    """Return the robot's profile with its cameras."""
    text = PROFILE.replace(
        "observation, rate_hz: 50}\n  description", "observation, rate_hz: 15}\n  description"
    )
    kind = "sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 15"
    more = "".join(f"  {name}: {{topic: {name}/compressed, type: {kind}}}\n" for name in CAMERAS)
    return text.replace("rate_hz: 50", "rate_hz: 60") + more


def p95(values: list[float]) -> float:
    """Return the 95th percentile."""
    return float(np.percentile(values, 95))


def presses(tab: Tab, bench: FourCameras, takes: int) -> dict[str, list[float]]:
    """Return times from a key, ms: to the take's start on the robot, to what the page then shows."""
    armed, answered, shown, judged = [], [], [], []
    for _ in range(takes):
        tab.page.evaluate("stamps.answered = 0")
        tab.press("n", "recording")
        tab.until("the answer", lambda: tab.page.evaluate("stamps.answered"))
        id = tab.newest()["shift"]["episode_id"]
        while bench.status.episode_id != id:
            tab.page.wait_for_timeout(10)
        start = bench.status.start
        armed.append(start.sec * 1e3 + start.nanosec / 1e6 - tab.page.evaluate("stamps.key_ms"))
        answered.append(float(tab.page.evaluate("stamps.answered - stamps.key")))
        shown.append(float(tab.page.evaluate("stamps.recording - stamps.key")))
        tab.page.wait_for_timeout(TAKE_S * 1000)
        tab.page.evaluate("stamps.verdict = 0")
        tab.key("s")
        tab.until("a verdict", lambda: tab.page.evaluate("stamps.verdict"))
        judged.append(float(tab.page.evaluate("stamps.verdict - stamps.key")))
        tab.until("ready", lambda: tab.state() == "ready")
    return {
        "press_to_armed": armed, "press_to_answer_on_screen": answered,
        "press_to_recording_on_screen": shown, "stop_to_verdict_on_screen": judged,
    }  # fmt: skip


def ages(tab: Tab, seconds: float) -> list[float]:
    """Return the ages of pictures when they were on the screen, ms."""
    tab.page.evaluate("window.ages.length = 0")
    tab.page.wait_for_timeout(seconds * 1000)
    return [float(age) for age in tab.page.evaluate("window.ages")]


@contextmanager
def watchers(address: str, count: int) -> Iterator[None]:
    """Let pages without a browser watch all cameras, each answering every picture."""
    ending = threading.Event()

    def watch() -> None:
        with Page(address) as page:
            page.tell(type="watch", streams=["camera", *CAMERAS])
            while not ending.is_set():
                if page.hear(5) == "picture":
                    page.tell(type="shown", stream=page.pictures.pop()[0]["stream"])

    threads = [threading.Thread(target=watch) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def recorded(bench: FourCameras, pid: int, seconds: float) -> tuple[float, int]:
    """Record one episode; return the recorder's CPU time, us per message, and its losses."""
    started = ask_until(bench, StartEpisode, "recorder/start_episode")
    assert started.success
    before = cpu_s(pid)
    time.sleep(seconds)
    used = cpu_s(pid) - before
    stopped = ask_until(bench, StopEpisode, "recorder/stop_episode")
    return used / stopped.messages * 1e6, stopped.dropped + stopped.lost_dds


def ask_until(bench: FourCameras, kind: Any, name: str, **fields: Any) -> Any:
    """Call a service, again while a busy machine makes the streams too slow for a start."""
    client: Any = bench.node.create_client(kind, name)
    for _ in range(50):
        assert client.wait_for_service(10)
        future = client.call_async(kind.Request(**fields))
        while not future.done():
            time.sleep(0.001)
        if future.result().success:
            break
        time.sleep(0.2)
    bench.node.destroy_client(client)
    return future.result()


def by_services(bench: FourCameras, takes: int) -> float:
    """Return episodes per hour of a script that calls the services itself."""
    began = time.monotonic()
    for _ in range(takes):
        ask_until(bench, StartEpisode, "recorder/start_episode", task="lift_box")
        time.sleep(TAKE_S)
        ask_until(bench, MarkOutcome, "labeller/mark_outcome", outcome=1)
        ask_until(bench, StopEpisode, "recorder/stop_episode")
    return takes / (time.monotonic() - began) * 3600


def by_console(address: str, takes: int) -> tuple[float, int]:
    """Return episodes per hour of a script that presses the console's buttons, and its presses."""
    calls = 0
    with Page(address) as page:
        page.hear(2)
        page.post("/api/hold", take=True)
        began = time.monotonic()
        for number in range(takes):
            for attempt in range(50):
                ok = page.post(
                    "/api/command", command="step", key=f"start-{number:04}-{attempt:02}"
                )[1]["ok"]
                if ok:
                    break
                time.sleep(0.2)
            time.sleep(TAKE_S)
            page.post("/api/command", command="step", key=f"finish-{number:04}")
            calls += 2
        took = time.monotonic() - began
    return takes / took * 3600, calls


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Return the figures of one run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(dir=SCRATCH)))
        (folder / "bench.yaml").write_text(profile())
        bench = stack.enter_context(FourCameras())
        floor = ConsoleFloor(folder, stack, profile=folder / "bench.yaml")
        floor.record(check=True)
        floor.run("operator", tones=False)
        address = floor.console()
        server = _pid_of("console")
        bench.until("recorder and operator", lambda: bench.ready() and bench.shift is not None, 40)
        stack.enter_context(bench.publishing(60))
        figures: dict[str, float] = {}
        with browser() as running, Tab(running, address) as tab:
            tab.page.add_init_script(_STAMPS)
            tab.page.add_init_script(_DRAWN)
            tab.open()
            tab.begin()
            times = presses(tab, bench, options.takes)
            times["preview_latency"] = ages(tab, options.seconds)
            tab.post("/api/command", command="end")
            tab.post("/api/hold", take=False)
        for name, values in times.items():
            figures[f"{name}_ms_p95"] = p95(values)
            figures[f"{name}_ms_median"] = statistics.median(values)
        pid = floor.recorder.pid
        alone, _ = recorded(bench, pid, options.seconds)
        with watchers(address, 1):
            time.sleep(2)
            watched, _ = recorded(bench, pid, options.seconds)
        with watchers(address, WATCHERS):
            time.sleep(2)
            crowded, lost = recorded(bench, pid, options.seconds)
            figures["memory_growth_mb_per_hour"] = growth(server, options.minutes)
        figures["recorder_cpu_ratio_with_console"] = watched / alone
        figures["recorder_cpu_ratio_with_8_consoles"] = crowded / alone
        figures["recorder_losses_while_8_consoles_watch"] = lost
        services = by_services(bench, options.takes)
        consoles, calls = by_console(address, options.takes)
        figures["calls_per_episode"] = calls / options.takes
        figures["episodes_per_hour_scripted_operator"] = consoles
        figures["episodes_per_hour_by_services"] = services
        figures["episodes_per_hour_ratio"] = consoles / services
    return figures


def _pid_of(name: str) -> int:
    """Return the newest process that runs an executable of this package."""
    found = [
        int(p.name) for p in Path("/proc").iterdir()
        if p.name.isdigit() and f"robot_recorder/{name}\0" in _command_line(p)
    ]  # fmt: skip
    return max(found)


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def growth(pid: int, minutes: float) -> float:
    """Return how much a process grows while it is watched, MB per hour, after a minute to settle."""
    time.sleep(min(60.0, minutes * 20))
    times, sizes = [], []
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        times.append(time.monotonic() / 3600)
        sizes.append(rss_mb(pid))
        time.sleep(1)
    return float(np.polyfit(times, sizes, 1)[0])


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--takes", type=int, default=20, help="per repeat")
    parser.add_argument("--seconds", type=float, default=15, help="of each recording")
    parser.add_argument("--minutes", type=float, default=2, help="of watching memory, per repeat")
    options = parser.parse_args()
    SCRATCH.mkdir(exist_ok=True)
    runs = [measure(options) for _ in range(options.repeats)]
    figures = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    spread = {name: [round(run[name], 3) for run in runs] for name in figures}
    words = f"--repeats {options.repeats} --takes {options.takes} --seconds {options.seconds:g} --minutes {options.minutes:g}"
    write_results(
        RESULTS / "console.json", f'make bench-console ARGS="{words}"', figures, runs=spread
    )
    for name, value in figures.items():
        print(f"{name:42} {value:10.3f}   {spread[name]}")


if __name__ == "__main__":
    main()
