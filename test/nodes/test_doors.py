"""Services and topics that get anything: every call is answered, and nothing comes in unchecked."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.robot import LATCHED, PROFILE, Bench, process

pytest.importorskip("rclpy")

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from robot_recorder import srv
from robot_recorder.core.text import visible
from robot_recorder.msg import EpisodeStatus, StreamStatus, Task
from robot_recorder.nodes.doors import make_visible, message_problem, serve
from robot_recorder.srv import RestoreEpisode, SetTask, StartEpisode, StopEpisode
from robot_recorder.storage.episodes import Episode

PACKAGE = Path(__file__).parents[2] / "robot_recorder"
KINDS = [kind for kind in vars(srv).values() if hasattr(kind, "Request")]


def callers(name: str) -> set[str]:
    """Files of the package that call a method of this name."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == name
    }


def test_every_service_is_made_in_one_place() -> None:
    assert callers("create_service") == {"nodes/doors.py"}
    assert callers("serve") == set(), "it is a function of nodes/doors.py alone"


def test_every_log_is_written_in_one_place() -> None:
    assert callers("get_logger") == {"nodes/log.py"}


@pytest.fixture
def server() -> Iterator[tuple[Bench, Node]]:
    """A bench, and a node beside it for services."""
    with Bench() as bench:
        node = Node("server", context=bench.context)
        bench.executor.add_node(node)
        yield bench, node
        node.destroy_node()


@pytest.mark.parametrize("kind", [*KINDS, Trigger], ids=lambda kind: kind.__name__)
def test_a_service_that_breaks_answers(server: tuple[Bench, Node], kind: Any) -> None:
    bench, node = server

    def breaks(request: Any, response: Any) -> Any:
        response.success = True
        raise OSError(36, "File name too long\n\x1b[2Jsaved episode", "a" * 5000)

    serve(node, kind, "it", breaks)
    answer = bench.call(kind, "it")
    assert not answer.success
    assert answer.message.startswith("it failed: OSError: [Errno 36] File name too long\\n\\x1b[2J")
    assert len(answer.message) < 1100


async def breaks_later(request: Any, response: Any) -> Any:
    await done(True)
    raise KeyError("later")


async def done(value: Any) -> Any:
    future: Future[Any] = Future()
    future.set_result(value)
    return await future


async def answers_later(request: Any, response: Any) -> Any:
    response.success, response.message = await done(True), "a\nb"
    return response


def no_text(request: Any, response: Any) -> Any:
    response.success, response.path = True, "half a character: \udcff"
    return response


@pytest.mark.parametrize(
    ("callback", "success", "message"),
    [
        (breaks_later, False, "it failed: KeyError: 'later'; its log says more"),
        (answers_later, True, "a\\nb"),
        (no_text, True, ""),
        (lambda *_: None, False, "it failed: TypeError: the callback returned "),
        (lambda *_: "no response", False, "it failed: TypeError: the callback returned "),
        (lambda *_: StartEpisode.Request(), False, "it failed: TypeError"),
        (lambda *_: 1 / 0, False, "it failed: ZeroDivisionError: division by zero"),
    ],
)
def test_whatever_a_callback_does_the_caller_hears_of_it(
    server: tuple[Bench, Node], callback: Any, success: bool, message: str
) -> None:
    bench, node = server
    serve(node, StopEpisode, "it", callback)
    answer = bench.call(StopEpisode, "it")
    assert answer.success is success and answer.message.startswith(message), answer
    assert answer.path in ("", "half a character: \\udcff")


def test_a_service_whose_texts_have_no_limit_is_not_made(
    server: tuple[Bench, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(
        vars(__import__("robot_recorder.core.text", fromlist=["x"]))["TEXT_LIMITS"], "note"
    )
    with pytest.raises(ValueError, match="note: add a limit to core/text.py"):
        serve(server[1], srv.Annotate, "it", answers_later)


def test_messages_are_made_visible_all_through() -> None:
    status = EpisodeStatus(
        message="a\nb",
        limping=["joints: \x1b[2J"],
        streams=[StreamStatus(remedy="\u202eit"), StreamStatus(remedy="fine")],
    )
    make_visible(status)
    assert (status.message, list(status.limping)) == ("a\\nb", ["joints: \\x1b[2J"])
    assert [s.remedy for s in status.streams] == ["\\u202eit", "fine"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(value: float) -> None:
    assert message_problem(StartEpisode.Request(pre_roll_s=value)) == (
        f"pre_roll_s is {value}, give a finite number"
    )
    assert not message_problem(StartEpisode.Request(pre_roll_s=-1.0))


# -- the real nodes


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("floor") / "episodes"


@pytest.fixture(scope="module")
def bench(root: Path) -> Iterator[Bench]:
    """One composed recorder for the tests of this module."""
    root.parent.mkdir(exist_ok=True)
    profile = root.parent / "bench.yaml"
    profile.write_text(PROFILE)
    with Bench() as bench, process("record", profile=profile, root=root):
        bench.publish_until("all streams", bench.ready)
        yield bench


HOSTILE = ["x" * 300, "x" * 1_000_000, "../../outside", "/etc", "..", ".", "a\nb", "a\x1b[2Jb",
           "a/b", ".trash/y", "\u202eevil", "ä" * 200, " ", "%s%n", "[red]a", "'; drop"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_call_is_answered_whatever_it_asks(bench: Bench, root: Path, kind: Any) -> None:
    """All services of the nodes, every text field of theirs, with everything hostile."""
    offered = bench.node.get_service_names_and_types()
    names = [name for name, kinds in offered if f"robot_recorder/srv/{kind.__name__}" in kinds]
    fields = kind.Request.get_fields_and_field_types().items()
    assert names or kind.__name__ == "PerformTask"
    for name in names:
        for field in [field for field, type in fields if type == "string"]:
            for text in HOSTILE:
                force = {"force": True} if kind is StartEpisode else {}
                answer = bench.call(kind, name, **{field: text}, **force)
                assert answer.message and len(answer.message) < 3000, (field, text)
                assert visible(answer.message) == answer.message
                if kind is StartEpisode and answer.success:
                    stopped = bench.call(StopEpisode, "recorder/stop_episode")
                    assert Path(stopped.path).parent == root, stopped
                else:
                    assert not answer.success or kind is not RestoreEpisode
    bench.wait("the status", lambda: len(bench.status.operator_name) < 1000)
    outside = {path.name for path in root.parent.iterdir()} - {"episodes", "bench.yaml"}
    assert not outside and not list(root.glob(".trash/*"))


def test_a_start_with_a_pre_roll_that_is_no_number_is_answered(bench: Bench) -> None:
    answer = bench.call(StartEpisode, "recorder/start_episode", force=True, pre_roll_s=math.nan)
    assert not answer.success and "pre_roll_s is nan" in answer.message
    assert bench.status.state == EpisodeStatus.STATE_IDLE


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"task": "x/../../outside"}, "unknown task 'x/../../outside'"),
        ({"task": "x/../.trash/y"}, "unknown task"),
        ({"task": "lift_box\n"}, "task contains the character \\n"),
        (
            {"task": "lift_box", "operator_name": "\x1b[2J"},
            "operator_name contains the character \\x1b",
        ),
        ({"operator_name": "o" * 1_000_000}, "operator_name has 1,000,000 characters"),
        ({"instruction": "\u202e"}, "instruction contains the character \\u202e"),
    ],
)
def test_a_topic_is_trusted_no_more_than_a_service(
    bench: Bench, root: Path, fields: dict[str, str], words: str
) -> None:
    assert bench.call(SetTask, "labeller/set_task", task="lift_box", operator_name="ann").success
    publisher = bench.node.create_publisher(Task, "labeller/task", LATCHED)
    publisher.publish(Task(**fields))
    bench.wait("the refusal", lambda: words in bench.status.message)
    assert "the task before holds" in bench.status.message
    bench.start()
    stopped = bench.stop()
    bench.node.destroy_publisher(publisher)
    path = Path(stopped.path)
    assert path.parent == root and path.name.endswith("_lift_box")
    labels = Episode.open(path).labels
    assert (labels.task, labels.operator_name) == ("lift_box", "ann")
    assert labels.instruction.startswith("Lift the box")
