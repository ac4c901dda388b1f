"""Every node ends cleanly at any signal: launch says of whatever ends with another code than 0 that it died."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from support.described import described_robot
from support.robot import RecorderClient

from robot_recorder.cli.processes import ended, node_command
from robot_recorder.configuration.find import installed_program

CMAKE = (Path(__file__).parents[2] / "CMakeLists.txt").read_text()
_INSTALLED = r"install_executable\(([^ )]+) \S+ \S+ \S+ node\)"
_EACH = rf"foreach\(node ([\w ]+)\)\s+{_INSTALLED}"
NODES = {name for names, _ in re.findall(_EACH, CMAKE) for name in names.split()}
NODES |= set(re.findall(_INSTALLED, CMAKE)) - {"${node}"}
# They need a terminal, a file, a bag or a model; their own tests end them.
NEEDY = {"agent", "keys", "listen", "player", "sim_robot"}
PARTS = {"recorder", "synchronizer", "labeller"}  # of record, in whose module they are


@pytest.fixture
def watch() -> Iterator[RecorderClient]:
    with RecorderClient("watch", "ends") as client:
        yield client


def begun(number: int, process: subprocess.Popen[str]) -> bool:
    """Return whether a process takes a signal itself, which Python does not for SIGTERM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    taken = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)  # type: ignore[index]
    return bool(taken >> (number - 1) & 1) or process.poll() is not None


def until(what: str, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < end, f"waited 40 s for {what}"
        time.sleep(0.001)


def started(stack: ExitStack, command: list[str]) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.PIPE}
    return stack.enter_context(ended(subprocess.Popen(command, text=True, **pipes)))  # type: ignore[call-overload]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_ends_cleanly_before_it_has_begun(number: signal.Signals) -> None:
    assert {"record", "scene", "console", *NEEDY} <= NODES
    for name in sorted(NODES):
        with ExitStack() as stack:
            node = started(stack, node_command(name, {}))
            until(f"{name} to begin", lambda: begun(signal.SIGTERM, node))  # noqa: B023
            node.send_signal(number)
            output = node.communicate(timeout=20)[0]
        assert node.returncode == 0 and "Traceback" not in output, f"{name}: {output}"


def test_a_node_ends_cleanly_however_many_signals_come(
    watch: RecorderClient, tmp_path: Path
) -> None:
    more: dict[str, dict[str, object]] = {
        "record": {"root": tmp_path / "record"}, "operator": {"root": tmp_path / "operator"},
        "console": {"root": tmp_path / "console", "port": 0},
    }  # fmt: skip
    episode = described_robot(tmp_path / "007")
    commands = {
        name: node_command(name, more.get(name, {}), f"ends/{name}")
        for name in NODES - NEEDY - PARTS
    }
    commands["replay"] = node_command("scene", {"episode": episode}, "ends/replay")
    with ExitStack() as stack:
        nodes = {name: started(stack, command) for name, command in commands.items()}

        def there() -> bool:
            seen = {space for _, space in watch.node.get_node_names_and_namespaces()}
            return {f"/ends/{name}" for name in commands} <= seen

        watch.wait("all nodes", there, 60)
        for place, (name, node) in enumerate(sorted(nodes.items())):
            number = (signal.SIGINT, signal.SIGTERM)[place % 2]
            while node.poll() is None:
                node.send_signal(number)
                time.sleep(0.01)
            output = node.communicate(timeout=20)[0]
            assert node.returncode == 0 and "Traceback" not in output, f"{name}: {output}"


def test_a_call_that_is_interrupted_says_so(watch: RecorderClient) -> None:
    command = [sys.executable, str(installed_program("call")), "--namespace", "ends/call", "stop"]
    with ExitStack() as stack:
        call = started(stack, command)
        watch.wait("the call", lambda: "call" in watch.node.get_node_names())
        call.send_signal(signal.SIGINT)
        output = call.communicate(timeout=20)[0]
    assert call.returncode == 130 and "interrupted before recorder/stop_episode" in output, output
