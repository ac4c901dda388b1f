"""The SROS2 policy allows what the nodes do, and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from fnmatch import fnmatchcase

import pytest
from support.robot import PROFILE, Bench, process

pytest.importorskip("rclpy")

from robot_recorder.configuration.find import config_directory

ENCLAVE, OPERATOR = "/robot_recorder", "/robot_recorder/operator"
NAMESPACE = "/secured"
NODES = ("recorder", "synchronizer", "labeller", "ingest")
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


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the names that the running nodes use, by rule."""
    folder = tmp_path_factory.mktemp("secured")
    profile = folder / "bench.yaml"
    profile.write_text(PROFILE)
    with (
        Bench(NAMESPACE[1:]) as bench,
        process("record", NAMESPACE[1:], profile=profile, root=folder / "episodes"),
    ):
        bench.publish_until("all streams", bench.ready)
        bench.publish_until("all nodes", lambda: set(NODES) <= set(bench.node.get_node_names()))
        graph = {
            "publish": bench.node.get_publisher_names_and_types_by_node,
            "subscribe": bench.node.get_subscriber_names_and_types_by_node,
            "reply": bench.node.get_service_names_and_types_by_node,
            "request": bench.node.get_client_names_and_types_by_node,
        }

        def look() -> dict[str, set[str]]:
            return {
                rule: {name for node in NODES for name, _ in ask(node, NAMESPACE)}
                for rule, ask in graph.items()
            }

        bench.publish_until(
            "their services", lambda: f"{NAMESPACE}/labeller/annotate" in look()["reply"]
        )
        bench.publish_until(
            "the frames", lambda: f"{NAMESPACE}/synchronizer/frames" in look()["publish"]
        )
        return look()


@pytest.mark.parametrize("rule", ["publish", "subscribe", "reply", "request"])
def test_the_policy_allows_everything_that_the_nodes_use(
    created: dict[str, set[str]], rule: str
) -> None:
    allowed = policy()[ENCLAVE][rule]
    refused = {n for n in created[rule] if not any(fnmatchcase(n, a) for a in allowed)}
    assert refused == set()


def test_the_policy_allows_only_what_the_nodes_use(created: dict[str, set[str]]) -> None:
    """Except names that exist only with composed:=false, which is not running here."""
    for rule, allowed in policy()[ENCLAVE].items():
        idle = {a for a in allowed if not any(fnmatchcase(n, a) for n in created[rule])}
        assert {a for a in idle if "_ingest/" not in a} == set(), rule


def test_only_the_recorder_may_publish_its_topics(
    created: dict[str, set[str]],
) -> None:
    """And the recorder may not publish the topics of a robot's drivers."""
    allowed = policy()
    assert not any(
        "*" in name for name in allowed[ENCLAVE]["publish"] | allowed[OPERATOR]["publish"]
    )
    assert allowed[OPERATOR]["publish"] == {"/rosout", "/parameter_events"}
    assert allowed[OPERATOR]["request"] <= created["reply"]
    assert allowed[OPERATOR]["subscribe"] <= created["publish"]
    called = {n for n in created["reply"] if "parameter" not in n and "type_description" not in n}
    assert allowed[OPERATOR]["request"] == called, "an operator may call all services"
