"""Hostile input by service and topic: every call is answered, and every text is checked.

Holds also: log.py.
"""

from __future__ import annotations

import ast
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.robot import LATCHED, PROFILE, Bench, process

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from robot_recorder import srv
from robot_recorder.bags.reader import read_messages
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.labels import LabelKind
from robot_recorder.model.text import visible
from robot_recorder.msg import EpisodeStatus, Label, StreamStatus, Task
from robot_recorder.nodes.checked_services import make_visible, message_problem, serve
from robot_recorder.nodes.conversions import to_time
from robot_recorder.nodes.runtime import LATCHED_ALL
from robot_recorder.srv import RestoreEpisode, SetTask, StartEpisode, StopEpisode

PACKAGE = Path(__file__).parents[2] / "robot_recorder"
LOGGED = pytest.mark.announced("it failed")
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
    assert callers("create_service") == {"nodes/checked_services.py"}
    web = {"web/serve.py"}  # serves pages
    assert callers("serve") == web, "serve must be called as a function"


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


@LOGGED
@pytest.mark.parametrize("kind", [*KINDS, Trigger], ids=lambda kind: kind.__name__)
def test_a_service_whose_callback_raises_still_answers(
    server: tuple[Bench, Node], kind: Any
) -> None:
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
        pytest.param(breaks_later, False, "it failed: KeyError: 'later'; see the", marks=LOGGED),
        (answers_later, True, "a\\nb"),
        (no_text, True, ""),
        pytest.param(lambda *_: None, False, "it failed: TypeError: the callback", marks=LOGGED),
        pytest.param(lambda *_: "no response", False, "it failed: TypeError", marks=LOGGED),
        pytest.param(lambda *_: StartEpisode.Request(), False, "it failed: Type", marks=LOGGED),
        pytest.param(lambda *_: 1 / 0, False, "it failed: ZeroDivisionError", marks=LOGGED),
    ],
)
def test_the_caller_gets_an_answer_whatever_the_callback_does(
    server: tuple[Bench, Node], callback: Any, success: bool, message: str
) -> None:
    bench, node = server
    serve(node, StopEpisode, "it", callback)
    answer = bench.call(StopEpisode, "it")
    assert answer.success is success and answer.message.startswith(message), answer
    assert answer.path in ("", "half a character: \\udcff")


def test_a_service_with_a_text_without_limit_is_not_created(
    server: tuple[Bench, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(
        vars(__import__("robot_recorder.model.text", fromlist=["x"]))["TEXT_LIMITS"], "note"
    )
    with pytest.raises(ValueError, match="note: add a limit to model/text.py"):
        serve(server[1], srv.Annotate, "it", answers_later)


def test_texts_of_nested_messages_are_escaped() -> None:
    status = EpisodeStatus(
        message="a\nb",
        limping=["joints: \x1b[2J"],
        streams=[StreamStatus(remedy="\u202eit"), StreamStatus(remedy="fine")],
    )
    make_visible(status)
    assert (status.message, list(status.limping)) == ("a\\nb", ["joints: \\x1b[2J"])
    assert [s.remedy for s in status.streams] == ["\\u202eit", "fine"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(value: float) -> None:
    assert message_problem(StartEpisode.Request(pre_roll_s=value)) == (
        f"pre_roll_s is {value}: give a finite number"
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
    with (
        Bench() as bench,
        process("record", profile=profile, root=root),
        process("operator", profile=profile, root=root, tones=False),
    ):
        bench.publish_until("all streams", bench.ready)
        bench.publish_until(
            "the operator", lambda: bench.node.count_publishers("/shift/status") > 0
        )
        yield bench


HOSTILE = ["x" * 300, "x" * 1_000_000, "../../outside", "/etc", "..", ".", "a\nb", "a\x1b[2Jb",
           "a/b", ".trash/y", "\u202eevil", "ä" * 200, " ", "%s%n", "[red]a", "'; drop"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_call_with_hostile_texts_is_answered(bench: Bench, root: Path, kind: Any) -> None:
    """Call all services with each hostile text in each text field."""
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


def test_a_start_with_a_pre_roll_that_is_not_a_number_is_answered(bench: Bench) -> None:
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
def test_a_task_on_the_topic_is_checked_like_one_by_service(
    bench: Bench, root: Path, fields: dict[str, str], words: str
) -> None:
    assert bench.call(SetTask, "labeller/set_task", task="lift_box", operator_name="ann").success
    publisher = bench.node.create_publisher(Task, "labeller/task", LATCHED)
    publisher.publish(Task(**fields))
    bench.wait("the refusal", lambda: words in bench.status.message)
    assert "the previous task remains set" in bench.status.message
    bench.start()
    stopped = bench.stop()
    bench.node.destroy_publisher(publisher)
    path = Path(stopped.path)
    assert path.parent == root and path.name.endswith("_lift_box")
    labels = Episode.open(path).labels
    assert (labels.task, labels.operator_name) == ("lift_box", "ann")
    assert labels.instruction.startswith("Lift the box")


def test_an_invalid_task_takes_no_place_of_a_valid_one_that_is_not_read_yet(bench: Bench) -> None:
    publisher = bench.node.create_publisher(Task, "labeller/task", LATCHED_ALL)
    bench.wait("the recorder", lambda: publisher.get_subscription_count() > 0)
    for number in range(20):
        publisher.publish(Task(task="carry_tray", operator_name=f"bob{number}"))
        for _ in range(3):
            publisher.publish(Task(task=f"unknown{number}"))
    bench.wait("the refusal", lambda: "unknown task 'unknown19'" in bench.status.message)
    bench.start()
    labels = Episode.open(Path(bench.stop().path)).labels
    bench.node.destroy_publisher(publisher)
    assert (labels.task, labels.operator_name) == ("carry_tray", "bob19")


def published_label(bench: Bench, **fields: Any) -> Label:
    """Build a label of the last episode, as any node may publish it."""
    id = bench.status.episode_id
    return Label(
        header=Header(stamp=to_time(time.time_ns())), **{"episode_id": id, "by": "eve", **fields}
    )


@pytest.fixture(scope="module")
def anybody(bench: Bench, root: Path) -> Iterator[Any]:
    """Publish labels past the labeller; there is a finished episode of two seconds."""
    assert bench.call(SetTask, "labeller/set_task", task="lift_box", operator_name="ann").success
    bench.publish_until("all streams", bench.ready)
    bench.start()
    bench.publish_for(0.5)
    assert bench.stop().success
    publisher = bench.node.create_publisher(Label, "labeller/labels", 100)
    bench.wait("a listener", lambda: publisher.get_subscription_count() > 0)

    def give(label: Label) -> str:
        publisher.publish(label)
        stamp = label.header.stamp
        bench.wait("the label to be handled", lambda: bench.status.last_label == stamp)
        return bench.status.last_label_problem

    yield give
    bench.node.destroy_publisher(publisher)


OF_LABELS = [
    ({"kind": 1, "outcome": 2, "cause": "earthquake"}, "not a failure cause of lift_box"),
    ({"kind": 1, "outcome": 1, "cause": "slip"}, "only a failure has a cause"),
    ({"kind": 1, "outcome": 7}, "7 is not a valid Outcome"),
    ({"kind": 9}, "9 is not a valid LabelKind"),
    ({"kind": 1, "outcome": 1, "by": "\x1b[2J"}, "by contains the character"),
    ({"kind": 1, "outcome": 1, "note": "n" * 1_000_000}, "note has 1,000,000 characters"),
    ({"kind": 1, "outcome": 1, "episode_id": "../bench"}, "cannot be an episode's id"),
    ({"kind": 1, "outcome": 1, "episode_id": "x" * 300}, "episode_id has 300 characters"),
    ({"kind": 0, "task": "x/../../outside"}, "unknown task"),
    ({"kind": 0, "operator_name": "a\nb"}, "operator_name contains the character"),
    ({"kind": 2, "name": "gras"}, "did you mean 'grasp'?"),
    ({"kind": 2, "name": ""}, "needs a name"),
    ({"kind": 2, "name": "grasp", "start": Time(sec=-5)}, "outside of the episode"),
    ({"kind": 2, "name": "grasp", "start": Time(sec=2**31 - 1)}, "ends before it starts"),
    ({"kind": 2, "name": "grasp", "end": Time(sec=2**31 - 1, nanosec=2**32 - 1)}, "outside"),
    ({"kind": 3, "name": "grasp"}, "there are: none"),
]


@pytest.mark.parametrize(("fields", "words"), OF_LABELS, ids=lambda x: str(x)[:30])
def test_a_published_label_must_keep_the_rules_of_the_services(
    bench: Bench, root: Path, anybody: Any, fields: dict[str, Any], words: str
) -> None:
    path = root / bench.status.episode_id
    before = (path / "metadata.yaml").read_bytes()
    problem = anybody(published_label(bench, **fields))
    assert words in problem and len(problem) < 1000, problem
    bench.wait("the status to say so", lambda: "label not stored" in bench.status.message)
    assert (path / "metadata.yaml").read_bytes() == before


def test_a_running_episode_stores_only_the_published_labels_that_keep_the_rules(
    bench: Bench, root: Path, anybody: Any
) -> None:
    bench.publish_until("all streams", bench.ready)
    started = bench.start()
    bench.wait("the start", lambda: bench.status.episode_id == started.episode_id)
    now = to_time(time.time_ns())
    assert "in the future" in anybody(
        published_label(bench, kind=2, name="grasp", start=now, end=Time(sec=2**31 - 1))
    )
    assert "earthquake" in anybody(published_label(bench, kind=1, outcome=2, cause="earthquake"))
    assert not anybody(published_label(bench, kind=2, name="grasp", start=now, end=now))
    assert not anybody(published_label(bench, kind=1, outcome=2, cause="slip", name="x", by=""))
    bench.publish_for(0.3)
    path = Path(bench.stop().path)
    log = Episode.open(path).events
    assert [(e.kind, e.by, e.name, e.cause) for e in log[1:]] == [
        (LabelKind.ANNOTATION, "eve", "grasp", ""),
        (LabelKind.OUTCOME, "unknown", "", "slip"),
    ]
    recorded = {
        topic: [deserialize_message(m.data, kind) for m in read_messages(path, {topic})]
        for topic, kind in (("/labeller/labels", Label), ("/labeller/task", Task))
    }
    assert [(x.kind, x.cause, x.previous) for x in recorded["/labeller/labels"]] == [
        (0, "", ""), (2, "", ""), (1, "slip", "unlabelled"),
    ]  # fmt: skip
    assert [(x.task, x.operator_name) for x in recorded["/labeller/task"]] == [("lift_box", "ann")]
