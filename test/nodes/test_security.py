"""The SROS2 policy allows what the nodes do, and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.robot import PROFILE, Bench, process

pytest.importorskip("rclpy")

from robot_recorder.configuration.find import config_directory

ENCLAVE, OPERATOR = "/robot_recorder", "/robot_recorder/operator"
NAMESPACE = "/secured"
NODES = {
    ENCLAVE: ("recorder", "synchronizer", "labeller", "ingest"),
    "/robot_recorder/shift": ("operator",),
    "/robot_recorder/agent": ("agent",),
}
HAS_CONSOLE = all(map(find_spec, ("fastapi", "uvicorn", "argon2")))
if HAS_CONSOLE:
    NODES["/robot_recorder/console"] = ("console", "console_pictures")
# Topics of buttons and cameras, which nobody publishes or looks at here; names of composed:=false.
IDLE = ("*/joy", "*/vr/*", "*/teleop/*_controller", "*/buttons/*", "*_ingest/*")
RULES = {
    ("topics", "publish"),
    ("topics", "subscribe"),
    ("services", "reply"),
    ("services", "request"),
}


def policy() -> dict[str, dict[str, set[str]]]:
    """Return the allowed names by enclave and rule, with the namespace set as in docs/security.md."""
    root = ElementTree.parse(config_directory() / "security" / "policy.xml").getroot()
    assert root.tag == "policy" and root.get("version") == "0.2.0"
    allowed: dict[str, dict[str, set[str]]] = {}
    for enclave in root.iterfind("enclaves/enclave"):
        rules = allowed.setdefault(str(enclave.get("path")), {rule: set() for _, rule in RULES})
        for profile in enclave.iterfind("profiles/profile"):
            assert profile.get("ns") == "/"
            for group in profile:
                for rule, answer in group.items():
                    assert (group.tag, rule) in RULES and answer == "ALLOW"
                    rules[rule] |= {
                        full(str(item.text), str(profile.get("node"))) for item in group
                    }
    return allowed


def full(name: str, node: str) -> str:
    if name.startswith("/"):
        return name
    return f"{NAMESPACE}/{node}{name[1:]}" if name[0] == "~" else f"{NAMESPACE}/{name}"


def agent_config(folder: Path) -> Path:
    """Configure an agent whose centre is away: it goes on trying."""
    (folder / "token").write_text("t" * 40)
    (folder / "token").chmod(0o600)
    config = folder / "agent.yaml"
    config.write_text(
        "centre: http://127.0.0.1:9\nsite: here\nrobot: bench\ntoken: token\n"
        f"public_keys: [{'A' * 43}=]\n"
    )
    return config


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """Return the names that the running nodes use, by enclave and rule."""
    folder = tmp_path_factory.mktemp("secured")
    profile = folder / "bench.yaml"
    profile.write_text(PROFILE)
    with (
        Bench(NAMESPACE[1:]) as bench,
        process("record", NAMESPACE[1:], profile=profile, root=folder / "episodes"),
        process("operator", NAMESPACE[1:], profile=profile, root=folder / "episodes", tones=False),
        process("agent", NAMESPACE[1:], config=agent_config(folder), root=folder / "episodes"),
        ExitStack() as stack,
    ):
        if HAS_CONSOLE:
            root = folder / "episodes"
            stack.enter_context(
                process("console", NAMESPACE[1:], profile=profile, root=root, port=0)
            )
        bench.publish_until("all streams", bench.ready)
        nodes = {node for some in NODES.values() for node in some}
        bench.publish_until("all nodes", lambda: nodes <= set(bench.node.get_node_names()))
        graph = {
            "publish": bench.node.get_publisher_names_and_types_by_node,
            "subscribe": bench.node.get_subscriber_names_and_types_by_node,
            "reply": bench.node.get_service_names_and_types_by_node,
            "request": bench.node.get_client_names_and_types_by_node,
        }

        def look() -> dict[str, dict[str, set[str]]]:
            return {
                enclave: {
                    rule: {name for node in nodes for name, _ in ask(node, NAMESPACE)}
                    for rule, ask in graph.items()
                }
                for enclave, nodes in NODES.items()
            }

        for what, enclave, rule, name in (
            ("the labeller", ENCLAVE, "reply", "labeller/annotate"),
            ("the frames", ENCLAVE, "publish", "synchronizer/frames"),
            ("the operator", "/robot_recorder/shift", "reply", "cancel_record"),
            ("the agent", "/robot_recorder/agent", "subscribe", "recorder/status"),
            ("the console", "/robot_recorder/console", "request", "labeller/annotate"),
        ):
            if enclave not in NODES:
                continue
            seen = partial(lambda e, r, n: f"{NAMESPACE}/{n}" in look()[e][r], enclave, rule, name)
            bench.publish_until(what, seen)
        return look()


@pytest.mark.parametrize("enclave", NODES)
def test_the_policy_allows_everything_that_the_nodes_use(
    created: dict[str, dict[str, set[str]]], enclave: str
) -> None:
    for rule, allowed in policy()[enclave].items():
        used = created[enclave][rule]
        assert {n for n in used if not any(fnmatchcase(n, a) for a in allowed)} == set(), rule


@pytest.mark.parametrize("enclave", NODES)
def test_the_policy_allows_only_what_the_nodes_use(
    created: dict[str, dict[str, set[str]]], enclave: str
) -> None:
    for rule, allowed in policy()[enclave].items():
        idle = {a for a in allowed if not any(fnmatchcase(n, a) for n in created[enclave][rule])}
        idle -= {f"{NAMESPACE}/*"} if enclave.endswith("console") else set()
        assert {a for a in idle if not any(fnmatchcase(a, i) for i in IDLE)} == set(), rule


def test_only_the_recorder_may_publish_its_topics(
    created: dict[str, dict[str, set[str]]],
) -> None:
    """And nobody may publish the topics of a robot's drivers."""
    allowed = policy()
    for enclave, rules in allowed.items():
        assert not any("*" in name for name in rules["publish"]), enclave
    recorder = created[ENCLAVE]
    assert allowed[OPERATOR]["publish"] == {"/rosout", "/parameter_events"}
    assert allowed[OPERATOR]["request"] <= recorder["reply"]
    assert allowed[OPERATOR]["subscribe"] <= recorder["publish"]
    called = {n for n in recorder["reply"] if "parameter" not in n and "type_description" not in n}
    assert allowed[OPERATOR]["request"] == called, "an operator may call all services"
