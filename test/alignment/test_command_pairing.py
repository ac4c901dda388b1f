"""Pair commands with the joint streams that follow them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from robot_recorder.alignment.command_pairing import JointStream, Pairing, pair

ARM = frozenset(f"joint_{i}" for i in range(6))
HAND = frozenset({"thumb", "index"})


def stream(topic: str, joints: frozenset[str] = ARM, name: str = "", of: str = "") -> JointStream:
    return JointStream(name or topic.strip("/").replace("/", "_"), topic, joints, of)


def never(command: str, observed: str) -> float:
    raise AssertionError(f"names tell {command} from {observed}")


def paired(
    commands: list[JointStream],
    observed: list[JointStream],
    fit: Callable[[str, str], float] = never,
) -> Pairing:
    """Pair streams, and check that their order does not matter."""
    results = [
        pair(list(c), list(o), fit) for c in permutations(commands) for o in permutations(observed)
    ]
    assert all(
        {n: set(c) for n, c in r.commands.items()}
        == {n: set(c) for n, c in results[0].commands.items()}
        and r.doubts == results[0].doubts
        for r in results
    )
    return results[0]


@pytest.mark.parametrize(
    ("commands", "observed"),
    [
        (["/master_left/joint_states", "/master_right/joint_states"],
         ["/puppet_left/joint_states", "/puppet_right/joint_states"]),
        (["/left/leader", "/right/leader"], ["/left/follower", "/right/follower"]),
        (["/l_arm/cmd", "/r_arm/cmd"], ["/left_arm/joint_states", "/right_arm/joint_states"]),
        (["/robot_1/command", "/robot_2/command"], ["/robot_1/state", "/robot_2/state"]),
        (["/leader", "/leader_2"], ["/follower", "/follower_2"]),
        (["/a/command", "/b/command"], ["/a/joint_states", "/b/joint_states"]),
        (["/upper/arm/gello", "/lower/arm/gello"], ["/upper/arm/joints", "/lower/arm/joints"]),
    ],
)  # fmt: skip
def test_arms_of_the_same_type_are_distinguished_by_their_topics(
    commands: list[str], observed: list[str]
) -> None:
    found = paired([stream(t) for t in commands], [stream(t) for t in observed])
    for command, follower in zip(commands, observed):
        assert found.commands[stream(follower).name] == (stream(command).name,)
    assert not found.doubts


def test_an_unrecorded_leader_is_not_replaced_by_another() -> None:
    left, right = stream("/left/state"), stream("/right/state")
    found = paired([stream("/left/leader")], [left, right])
    assert found.commands == {"left_state": ("left_leader",), "right_state": ()}
    assert "set 'of: right_state'" in found.doubts["right_state"]
    alone = paired([stream("/left/leader")], [right])
    assert alone.commands == {"right_state": ()} and list(alone.doubts) == ["right_state"]


def test_streams_with_uninformative_names_are_paired_by_their_motion() -> None:
    commands = [stream("/alpha"), stream("/beta")]
    observed = [stream("/gamma"), stream("/delta")]
    true = {("alpha", "delta"), ("beta", "gamma")}
    found = paired(commands, observed, lambda c, o: 0.98 if (c, o) in true else 0.3)
    assert found.commands == {"gamma": ("beta",), "delta": ("alpha",)} and not found.doubts
    unsure = paired(commands, observed, lambda c, o: 0.5)
    assert unsure.commands == {"gamma": (), "delta": ()}
    assert unsure.doubts["gamma"].startswith("delta has the same joints, and nothing says whether")
    assert "alpha or beta" in unsure.doubts["gamma"]


def test_the_profile_takes_precedence() -> None:
    commands = [stream("/left/leader", of="right_state"), stream("/right/leader", of="left_state")]
    found = paired(commands, [stream("/left/state"), stream("/right/state")])
    assert found.commands == {"left_state": ("right_leader",), "right_state": ("left_leader",)}
    half = paired(
        [stream("/alpha", of="gamma"), stream("/beta")], [stream("/gamma"), stream("/delta")]
    )
    assert half.commands == {"gamma": ("alpha",), "delta": ("beta",)} and not half.doubts


def test_one_stream_may_follow_several_commands_for_different_joints() -> None:
    body = stream("/joint_states", ARM | HAND | {"neck"})
    found = paired([stream("/arm/command"), stream("/hand/command", HAND)], [body])
    assert set(found.commands["joint_states"]) == {"arm_command", "hand_command"}
    assert not found.doubts


def test_of_two_commands_for_one_stream_the_better_fit_wins() -> None:
    commands = [stream("/leader"), stream("/controller/command")]
    found = paired(commands, [stream("/joint_states")], lambda c, o: 0.9 if c == "leader" else 0.88)
    assert found.commands == {"joint_states": ("leader",)} and not found.doubts


def test_there_are_no_doubts_without_commands() -> None:
    assert not paired([], [stream("/left"), stream("/right")]).doubts
    assert not paired([stream("/base/command", frozenset({"wheel"}))], [stream("/left")]).doubts
