"""The kinematics of the human skeleton, for any reachable pose of the hands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.sim.human import (
    FOREARM_M,
    LINKS,
    SHIN_M,
    STANDING_M,
    THIGH_M,
    UPPER_ARM_M,
    Pose,
    Stance,
    along,
    body,
    elbow,
    turned,
    within_reach,
)

BONES = {
    ("upper_arm", "forearm"): UPPER_ARM_M, ("forearm", "hand"): FOREARM_M,
    ("thigh", "shin"): THIGH_M, ("shin", "foot"): SHIN_M,
}  # fmt: skip
metres = st.floats(-0.9, 0.9)
angles = st.floats(-0.6, 0.6)
hands = st.tuples(st.floats(0.1, 0.9), metres, st.floats(0.7, 1.8))


def stance(left, right, yaw: float, lean: float, tilt: float) -> Stance:
    pelvis = Pose(np.array([0.01, -0.02, STANDING_M]), turned(yaw / 2))
    turn = turned(yaw, lean, tilt)
    poses = {"left": Pose(np.array(left), turn), "right": Pose(np.array(right), turn.T)}
    return Stance(pelvis, turned(yaw, lean), turned(-yaw, lean, tilt), poses)


@given(hands, hands, angles, angles, angles)
def test_bones_keep_their_lengths_and_hands_their_poses(left, right, yaw, lean, tilt) -> None:
    """Also if the hands are out of reach: the shoulders give way."""
    whole = stance(left, right, yaw, lean, tilt)
    links = body(whole)
    assert tuple(links) == LINKS
    for side in ("left", "right"):
        for (near, far), length_m in BONES.items():
            bone = links[f"{side}_{far}"].place - links[f"{side}_{near}"].place
            assert np.linalg.norm(bone) == pytest.approx(length_m, abs=1e-6)
            axis = links[f"{side}_{near}"].turn[:, 0]
            assert bone / length_m == pytest.approx(axis, abs=1e-6), "x lies along the bone"
        assert links[f"{side}_hand"] == whole.hands[side]
        assert links[f"{side}_foot"].place[2] == pytest.approx(0.08), "feet stay on the floor"
    assert (links["head"].place == whole.head_pose.place).all()
    for pose in links.values():
        assert pose.turn @ pose.turn.T == pytest.approx(np.eye(3), abs=1e-9)
        assert np.linalg.det(pose.turn) == pytest.approx(1.0)


def test_elbows_hang_and_knees_point_ahead() -> None:
    links = body(stance((0.4, 0.2, 1.2), (0.4, -0.2, 1.2), 0.0, 0.0, 0.0))
    for side, out in (("left", 1), ("right", -1)):
        shoulder, elbow_at, hand = (
            links[f"{side}_{part}"].place for part in ("upper_arm", "forearm", "hand")
        )
        assert elbow_at[2] < (shoulder[2] + hand[2]) / 2
        assert out * elbow_at[1] > out * hand[1]
        knee = links[f"{side}_shin"].place
        assert knee[0] > max(links[f"{side}_thigh"].place[0], links[f"{side}_foot"].place[0])


def test_a_joint_lies_where_both_bones_meet() -> None:
    root, end, down = np.zeros((1, 3)), np.array([[0.7, 0.0, 0.0]]), np.array([[0.0, 0.0, -1.0]])
    (at,) = elbow(root, end, np.array([0.4]), np.array([0.5]), down)
    assert np.linalg.norm(at) == pytest.approx(0.4) and at[2] < 0 and at[1] == 0
    assert np.linalg.norm(at - (0.7, 0, 0)) == pytest.approx(0.5)
    (nearer,) = within_reach(root, np.array([[2.0, 0.0, 0.0]]), np.array([1.0]))
    assert nearer == pytest.approx([1.005, 0, 0])
    assert along(-down * 2, end)[0, :, 2] == pytest.approx([1, 0, 0])
    assert turned(np.pi / 2)[:, 0] == pytest.approx([0, 1, 0])
    assert turned(0, 0.5)[2, 0] < 0, "a positive pitch looks down"
