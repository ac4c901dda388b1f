"""One take for each shipped profile of a robot or device: ``TAKES``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from robot_recorder.configuration.find import load_profile
from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import RobotProfile
from support.robot_takes import (
    LAG_S,
    ORIENTATION,
    POSITION,
    SECONDS,
    Motion,
    Part,
    Path3,
    Take,
    Topic,
    body,
    camera,
    camera_info,
    columns_of,
    command,
    delayed,
    imu,
    joints,
    raw_camera,
    sway,
    touch,
    wrench,
)

CONFIG = Path(__file__).resolve().parents[2] / "config"
IMU_VALUES = tuple(f"orientation/{axis} (1)" for axis in ORIENTATION)
POSE_VALUES = (*(f"position/{a} (m)" for a in POSITION), *(f"orientation/{a} (1)" for a in ORIENTATION))  # fmt: skip


@cache
def streams_of(profile: str) -> dict[str, Any]:
    """Return the streams of a shipped profile, as its file has them, without those it includes."""
    (path,) = CONFIG.glob(f"*/{profile}.yaml")
    streams: dict[str, Any] = yaml.safe_load(path.read_text())["streams"]
    return streams


def names_of(profile: str, stream: str) -> list[str]:
    """Return the joints that a shipped profile names in order."""
    found = streams_of(profile)[stream]
    names: list[str] = found.get("names") or found["map"]["names"]
    return names


def positions(names: list[str], unit: str = "rad") -> tuple[str, ...]:
    """Return the names of the joints' positions in frames."""
    return tuple(f"position/{name} ({unit})" for name in names)


def _lean(seconds: Floats) -> Floats:
    """Return the quaternion x, y, z, w of the body that ``imu`` gives."""
    lean = 0.03 * np.sin(2.2 * seconds) / 2
    return np.stack([np.sin(lean), 0 * lean, 0 * lean, np.cos(lean)], axis=1)


def _unitree(take: Take, profile: str, commanded: slice, topic: str, stream: str) -> None:
    """Add LowState and LowCmd of a Unitree humanoid.

    Args:
        take: to add to.
        profile: file with the names of its joints.
        commanded: which joints are commanded; the others hardly move.
        topic: of the commands.
        stream: of the commands.
    """
    names = names_of(profile, "body")
    motion = Motion(len(names), take.seed)
    still = np.ones(len(names), bool)
    still[commanded] = False

    def curve(seconds: Floats) -> Floats:
        return np.where(still, 0.02, 1.0) * motion.at(seconds)

    at = take.times(500)
    sent = imu(take, at, scalar_first=True)
    state = Topic(
        "unitree_hg/msg/LowState", at,
        {
            "motor_state[].q": take.noisy(curve(at - LAG_S), 2e-4),
            "motor_state[].dq": take.noisy(motion.speed(at - LAG_S), 2e-3),
            "motor_state[].tau_est": take.noisy(2 * np.sin(curve(at)), 0.05),
            "imu_state.quaternion": sent["orientation"],
            "imu_state.gyroscope": sent["angular_velocity"],
            "imu_state.accelerometer": sent["linear_acceleration"],
        },
        stamp="", ticks=("tick", 1e-3), offset_s=-1_690_000_000.0, drift_ppm=20.0,
    )  # fmt: skip
    take.add(
        "lowstate", state,
        Part("body", "lowstate", "joints", ("motor_state[].q", "motor_state[].dq"),
             lambda s: curve(s - LAG_S), positions(names), followed=True),
        Part("pelvis_imu", "lowstate", "imu", ("imu_state.quaternion",), _lean, IMU_VALUES),
    )  # fmt: skip
    at = take.times(250)
    made = Topic("unitree_hg/msg/LowCmd", at, {"motor_cmd[].q": curve(at)}, stamp="")
    take.add(topic, made, Part(stream, topic, "command", ("motor_cmd[].q",)))


def _dex3(take: Take) -> None:
    for number, side in enumerate(("left", "right")):
        names = names_of("dex3", f"{side}_hand")
        motion = Motion(7, take.seed + 10 + number, 0.5)
        at = take.times(500)
        pressure = touch(take, at, 9 * 12, 100_000, 60_000, 150)
        pressure[:, 3:12:4] = 30_000  # taxels that are not there
        topic, commands = f"dex3/{side}/state", f"dex3/{side}/cmd"
        columns = {
            "motor_state[].q": take.noisy(motion.at(at - LAG_S), 3e-4),
            "motor_state[].dq": take.noisy(motion.speed(at - LAG_S), 3e-3),
            "press_sensor_state[].pressure": pressure,
        }
        sizes = {"motor_state": 7, "press_sensor_state": 9}
        take.add(
            topic, Topic("unitree_hg/msg/HandState", at, columns, sizes, stamp=""),
            Part(f"{side}_hand", topic, "joints", ("motor_state[].q", "motor_state[].dq"),
                 delayed(motion), positions(names), followed=True),
            Part(f"{side}_touch", topic, "touch", ("press_sensor_state[].pressure",)),
        )  # fmt: skip
        at = take.times(100)
        sent = {"motor_cmd[].q": motion.at(at)}
        made = Topic("unitree_hg/msg/HandCmd", at, sent, {"motor_cmd": 7}, stamp="")
        take.add(commands, made, Part(f"{side}_hand_command", commands, "command", tuple(sent)))


INSPIRE_TAXELS = {
    **{f"finger{finger}_{part}_touch": count for finger in ("one", "two", "three", "four")
       for part, count in (("tip", 9), ("top", 96), ("palm", 80))},
    "fingerfive_tip_touch": 9, "fingerfive_top_touch": 96, "fingerfive_middle_touch": 9,
    "fingerfive_palm_touch": 96, "palm_touch": 112,
}  # fmt: skip


def _inspire(take: Take, with_touch: bool) -> None:
    for number, (side, letter) in enumerate((("left", "l"), ("right", "r"))):
        motion = Motion(6, take.seed + 20 + number, 1.0)

        def opening(seconds: Floats, motion: Motion = motion) -> Floats:
            return 500 + 400 * motion.at(seconds)

        at = take.times(50)
        topic, commands = f"inspire_hand/state/{letter}", f"inspire_hand/ctrl/{letter}"
        columns = {
            "angle_act": np.round(take.noisy(opening(at - LAG_S), 1.0)),
            "force_act": np.round(touch(take, at, 6, 0, 300, 2)),
        }
        state = Topic("inspire_hand_msgs/msg/InspireHandState", at, columns,
                      {"angle_act": 6, "force_act": 6}, stamp="")  # fmt: skip
        names = names_of("inspire", f"{side}_hand")
        take.add(
            topic, state,
            Part(f"{side}_hand", topic, "raw", ("angle_act",),
                 lambda s, of=opening: of(s - LAG_S), positions(names, "raw"), 40.0, followed=True),  # type: ignore[misc]
        )  # fmt: skip
        at = take.times(100)
        made = Topic("inspire_hand_msgs/msg/InspireHandCtrl", at,
                     {"angle_set": np.round(opening(at))}, {"angle_set": 6}, stamp="")  # fmt: skip
        take.add(commands, made, Part(f"{side}_hand_command", commands, "whole numbers"))
        if with_touch:
            at, topic = take.times(50), f"inspire_hand/touch/{letter}"
            pads = {f: np.round(touch(take, at, n, 20, 2000, 4)) for f, n in INSPIRE_TAXELS.items()}
            made = Topic("inspire_hand_msgs/msg/InspireHandTouch", at, pads, INSPIRE_TAXELS, stamp="")  # fmt: skip
            take.add(topic, made, Part(f"{side}_touch", topic, "touch", tuple(pads)))


def unitree_g1_29(take: Take) -> None:
    """A G1 whose arms are commanded by xr_teleoperate."""
    _unitree(take, "unitree_g1_29", slice(15, 29), "arm_sdk", "arm_command")


def unitree_g1_29_dex3(take: Take) -> None:
    """The same with Dex3-1 hands."""
    unitree_g1_29(take)
    _dex3(take)


def unitree_g1_29_inspire_ftp(take: Take) -> None:
    """The same with Inspire hands that feel."""
    unitree_g1_29(take)
    _inspire(take, True)


def unitree_h1_2(take: Take) -> None:
    """An H1-2 in debug mode."""
    _unitree(take, "unitree_h1_2", slice(0, 27), "lowcmd", "command")


def kuavo(take: Take) -> None:
    """A Kuavo: its joints, two kinds of commands, hands and cameras."""
    names = names_of("kuavo", "body")
    motion = Motion(28, take.seed)
    at = take.times(500)
    sent = imu(take, at)
    columns = {
        "joint_data.joint_q": take.noisy(motion.at(at - LAG_S), 2e-4),
        "joint_data.joint_v": take.noisy(motion.speed(at - LAG_S), 2e-3),
        "joint_data.joint_torque": take.noisy(2 * np.sin(motion.at(at)), 0.05),
        "imu_data.quat.x": sent["orientation"][:, 0],
        "imu_data.quat.y": sent["orientation"][:, 1],
        "imu_data.quat.z": sent["orientation"][:, 2],
        "imu_data.quat.w": sent["orientation"][:, 3],
        "imu_data.gyro.x": sent["angular_velocity"][:, 0],
        "imu_data.acc.z": sent["linear_acceleration"][:, 2],
    }
    sizes = {f"joint_data.joint_{x}": 28 for x in ("q", "v", "vd", "torque")}
    take.add(
        "sensors_data_raw",
        Topic("kuavo_msgs/msg/SensorsData", at, columns, sizes, stamp="sensor_time header.stamp"),
        Part("body", "sensors_data_raw", "joints", ("joint_data.joint_q", "joint_data.joint_v"),
             delayed(motion), positions(names), followed=True),
        Part("imu", "sensors_data_raw", "imu",
             tuple(f"imu_data.quat.{a}" for a in ORIENTATION), _lean, IMU_VALUES),
    )  # fmt: skip
    at = take.times(500)
    sizes = {f: 28 for f in ("joint_q", "joint_v", "tau")}
    made = Topic("kuavo_msgs/msg/JointCmd", at, {"joint_q": motion.at(at)}, sizes)
    take.add("joint_cmd", made, Part("joint_command", "joint_cmd", "command", ("joint_q",)))
    arms: Any = columns_of(motion.at, slice(12, 26))
    arm_names = [f"arm_joint_{n}" for n in range(1, 15)]
    at = take.times(100)
    columns = {"position": np.degrees(arms(at))}
    made = Topic("sensor_msgs/msg/JointState", at, columns, {"position": 14}, {"name": arm_names})
    values = positions(names[12:26])
    take.add("kuavo_arm_traj", made,
             Part("arm_command", "kuavo_arm_traj", "command", ("position",), arms, values))  # fmt: skip
    _kuavo_hands(take)
    camera(take, "head_camera", "cam_h/color/image_raw/compressed", 30)
    camera(take, "head_depth", "cam_h/depth/image_raw/compressedDepth", 30, "depth")
    camera(take, "left_wrist_camera", "cam_l/color/image_raw/compressed", 30)
    camera(take, "right_wrist_camera", "cam_r/color/image_raw/compressed", 30)


def _kuavo_hands(take: Take) -> None:
    motion = Motion(12, take.seed + 1, 1.0)
    at = take.times(100)
    share = np.round(50 + 40 * motion.at(at))
    columns = {"left_hand_position": share[:, :6], "right_hand_position": share[:, 6:]}
    topic = "control_robot_hand_position"
    made = Topic("kuavo_msgs/msg/RobotHandPosition", at, columns,
                 {"left_hand_position": 6, "right_hand_position": 6})  # fmt: skip
    take.add(topic, made, Part("hand_command", topic, "command", tuple(columns)))
    at = take.times(100)
    forces = {
        f"{side}_hand[].normal_force{n}": np.round(touch(take, at, 5, 100, 900, 4))
        for side in ("left", "right") for n in (1, 2, 3)
    }  # fmt: skip
    topic = "dexhand/touch_state"
    take.add(
        topic, Topic("kuavo_msgs/msg/DexhandTouchState", at, forces),
        *(Part(f"{side}_touch", topic, "touch", tuple(f for f in forces if f.startswith(side)))
          for side in ("left", "right")),
    )  # fmt: skip


def tiangong(take: Take) -> None:
    """A Tiangong: joints by the ids of their motors."""
    streams = streams_of("tiangong")
    motions = {}
    for number, part in enumerate(("arm", "leg", "waist", "head")):
        rename: dict[int, str] = streams[part]["map"]["rename"]
        size = len(rename)
        motion = motions[part] = Motion(size, take.seed + number, 0.7 if part == "arm" else 0.1)
        at = take.times(400)
        columns = {
            "status[].pos": take.noisy(motion.at(at - LAG_S), 2e-4),
            "status[].speed": take.noisy(motion.speed(at - LAG_S), 2e-3),
        }
        topic = f"{part}/status"
        made = Topic("bodyctrl_msgs/msg/MotorStatusMsg", at, columns, {"status": size},
                     {"status[].name": list(rename)})  # fmt: skip
        take.add(
            topic, made,
            Part(part, topic, "joints", tuple(columns), delayed(motion),
                 positions(list(rename.values())), followed=part == "arm"),
        )  # fmt: skip
    at = take.times(100)
    made = Topic("bodyctrl_msgs/msg/CmdSetMotorPosition", at, {"cmds[].pos": motions["arm"].at(at)},
                 {"cmds": 14}, {"cmds[].name": list(streams["arm"]["map"]["rename"])})  # fmt: skip
    take.add("arm/cmd_pos", made, Part("arm_command", "arm/cmd_pos", "command", ("cmds[].pos",)))
    camera(take, "camera", "camera/color/image_raw/compressed", 30)


def agibot_g1(take: Take) -> None:
    """An AgiBot G1: arms, grippers in mm, three cameras."""
    names = [f"joint{n}_{side}" for side in "lr" for n in range(1, 8)]
    motion = Motion(14, take.seed)
    joints(take, "arms", "hal/arm_joint_state", names, motion, 100)
    command(take, "arm_command", "wbc/arm_command", names, motion, 60)
    for number, side in enumerate(("left", "right")):
        grip = Motion(1, take.seed + 1 + number, 0.05)

        def opening(seconds: Floats, grip: Motion = grip) -> Floats:
            return 0.06 + grip.at(seconds)

        at = take.times(100)
        topic = f"hal/{side}_ee_data"
        columns = {
            "end_state[].position": 1e3 * take.noisy(opening(at - LAG_S), 1e-5),
            "end_state[].effort": take.noisy(take.press(at)[:, None], 0.01),
        }
        take.add(
            topic, Topic("genie_msgs/msg/EndState", at, columns, {"end_state": 1}),
            Part(f"{side}_gripper", topic, "gripper", tuple(columns)[:1],
                 lambda s, of=opening: of(s - LAG_S), (f"position/{side}_gripper (m)",), 0.002),  # type: ignore[misc]
        )  # fmt: skip
        share = Motion(1, take.seed + 5 + number, 0.4)
        command(take, f"{side}_gripper_command", f"wbc/{side}_ee_command",
                [f"{side}_gripper_joint1"], share, 60)  # fmt: skip
    raw_camera(take, "head_camera", "camera/head_color", 30)
    raw_camera(take, "left_hand_camera", "camera/hand_left_color", 30)
    raw_camera(take, "right_hand_camera", "camera/hand_right_color", 30)


def booster_t1(take: Take) -> None:
    """A Booster T1 whose messages have no time at all."""
    names = names_of("booster_t1", "body")
    motion = Motion(23, take.seed)
    at = take.times(500)
    sent = imu(take, at)

    def rpy(seconds: Floats) -> Floats:
        lean = 0.03 * np.sin(2.2 * seconds)
        return np.stack([lean, 0 * lean, 0 * lean], axis=1)

    columns = {
        "motor_state_serial[].q": take.noisy(motion.at(at - LAG_S), 2e-4),
        "motor_state_serial[].dq": take.noisy(motion.speed(at - LAG_S), 2e-3),
        "motor_state_parallel[].q": take.noisy(motion.at(at - LAG_S), 2e-4),
        "imu_state.rpy": take.noisy(rpy(at), 1e-5),
        "imu_state.gyro": sent["angular_velocity"],
        "imu_state.acc": sent["linear_acceleration"],
    }
    sizes = {"motor_state_parallel": 23, "motor_state_serial": 23}
    take.add(
        "low_state", Topic("booster_interface/msg/LowState", at, columns, sizes, stamp=""),
        Part("body", "low_state", "joints", tuple(columns)[:2], delayed(motion), positions(names),
             followed=True),
        Part("imu", "low_state", "imu", ("imu_state.rpy",), rpy,
             tuple(f"rpy/{a} (rad)" for a in ("roll", "pitch", "yaw"))),
    )  # fmt: skip
    at = take.times(100)
    made = Topic("booster_interface/msg/LowCmd", at, {"motor_cmd[].q": motion.at(at)},
                 {"motor_cmd": 23}, stamp="")  # fmt: skip
    take.add("joint_ctrl", made, Part("command", "joint_ctrl", "command", ("motor_cmd[].q",)))


def galaxea_r1(take: Take) -> None:
    """A Galaxea R1: joint states without names, grippers in mm."""
    for number, side in enumerate(("left", "right")):
        names = names_of("galaxea_r1", f"{side}_arm")
        motion = Motion(len(names), take.seed + number)
        joints(take, f"{side}_arm", f"hdas/feedback_arm_{side}", names, motion, 200, named=False)
        command(take, f"{side}_arm_command", f"motion_target/target_joint_state_arm_{side}", names,
                motion, 100, named=False)  # fmt: skip
        grip = Motion(1, take.seed + 5 + number, 0.045)
        joints(take, f"{side}_gripper", f"hdas/feedback_gripper_{side}", [f"{side}_gripper"], grip,
               200, ("m", 1.0), 1e3, named=False)  # fmt: skip
        command(take, f"{side}_gripper_command", f"motion_target/target_position_gripper_{side}",
                [f"{side}_gripper"], grip, 100, 1e3, named=False)  # fmt: skip
    names = names_of("galaxea_r1", "torso")
    motion = Motion(len(names), take.seed + 9, 0.3)
    joints(take, "torso", "hdas/feedback_torso", names, motion, 200, named=False)
    command(take, "torso_command", "motion_target/target_joint_state_torso", names, motion, 100,
            named=False)  # fmt: skip
    for stream, topic in (("head_camera", "camera_head/left_raw/image_raw_color"),
                          ("left_wrist_camera", "camera_wrist_left/color/image_raw"),
                          ("right_wrist_camera", "camera_wrist_right/color/image_raw")):  # fmt: skip
        camera(take, stream, f"hdas/{topic}/compressed", 15)


def robotis_ffw(take: Take) -> None:
    """A ROBOTIS AI Worker: its leaders send JointTrajectory, stamped 0."""
    arms = {s: [*(f"arm_{s}_joint{n}" for n in range(1, 8)), f"gripper_{s}_joint1"] for s in "lr"}
    names = [*arms["l"], *arms["r"], "head_joint1", "head_joint2", "lift_joint"]
    motion = Motion(19, take.seed, [0.7] * 16 + [0.03] * 3)  # nobody pushes the sticks
    joints(take, "joints", "joint_states", names, motion, 100)
    leaders = {
        "left_leader": ("joint_trajectory_command_broadcaster_left", arms["l"], 0),
        "right_leader": ("joint_trajectory_command_broadcaster_right", arms["r"], 8),
    }
    for stream, (owner, joined, first) in leaders.items():
        at = take.times(100)
        size = len(joined)
        topic = f"leader/{owner}/joint_trajectory"
        columns = {"points[].positions": motion.at(at)[:, first : first + size]}
        made = Topic("trajectory_msgs/msg/JointTrajectory", at, columns,
                     {"points": 1, "points[].positions": size}, {"joint_names": joined}, stamp="")  # fmt: skip
        take.add(topic, made, Part(stream, topic, "command", tuple(columns)))
    for stream, topic in (("head_camera", "zed/zed_node/left/image_rect_color"),
                          ("left_wrist_camera", "camera_left/camera_left/color/image_rect_raw"),
                          ("right_wrist_camera", "camera_right/camera_right/color/image_rect_raw")):  # fmt: skip
        camera(take, stream, f"{topic}/compressed", 15)


def aloha(take: Take) -> None:
    """An ALOHA: two arms with the same joint names, four cameras."""
    names = ["waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper",
             "left_finger", "right_finger"]  # fmt: skip
    for number, side in enumerate(("left", "right")):
        motion = Motion(9, take.seed + number)
        joints(take, f"{side}_arm", f"follower_{side}/joint_states", names, motion, 50)
        command(take, f"{side}_leader", f"leader_{side}/joint_states", names, motion, 50)
    for view in ("high", "low", "left_wrist", "right_wrist"):
        camera(take, f"cam_{view}", f"cam_{view}/camera/color/image_rect_raw/compressed", 60)


def franka(take: Take) -> None:
    """A Franka: four streams of one large message."""
    names = [f"panda_joint{n}" for n in range(1, 8)]
    motion, flange = Motion(7, take.seed), body(take.seed + 1)
    at = take.times(1000)
    force, torque = wrench(take, at)
    place, turn = flange.position(at), flange.orientation(at)
    topic = "franka_robot_state_broadcaster/robot_state"
    columns = {
        "measured_joint_state.position": take.noisy(motion.at(at - LAG_S), 1e-5),
        "measured_joint_state.velocity": take.noisy(motion.speed(at - LAG_S), 1e-3),
        "measured_joint_state.effort": take.noisy(2 * np.sin(motion.at(at)), 0.05),
        "desired_joint_state.position": motion.at(at),
        **{f"o_t_ee.pose.position.{a}": take.noisy(place[:, n], 1e-5) for n, a in enumerate(POSITION)},
        **{f"o_t_ee.pose.orientation.{a}": turn[:, n] for n, a in enumerate(ORIENTATION)},
        **{f"k_f_ext_hat_k.wrench.force.{a}": force[:, n] for n, a in enumerate(POSITION)},
        **{f"k_f_ext_hat_k.wrench.torque.{a}": torque[:, n] for n, a in enumerate(POSITION)},
    }  # fmt: skip
    sizes = {f"measured_joint_state.{f}": 7 for f in ("position", "velocity", "effort")}
    sizes["desired_joint_state.position"] = 7
    fixed = {"measured_joint_state.name": names, "desired_joint_state.name": names}
    paths = tuple(columns)
    take.add(
        topic, Topic("franka_msgs/msg/FrankaRobotState", at, columns, sizes, fixed),
        Part("arm", topic, "joints", paths[:2], delayed(motion), positions(names), followed=True),
        Part("arm_command", topic, "command", paths[3:4]),
        Part("flange", topic, "poses", paths[4:11], flange.pose, POSE_VALUES),
        Part("external_wrench", topic, "wrench", paths[11:]),
    )  # fmt: skip
    fingers = Motion(2, take.seed + 2, 0.03)
    joints(take, "gripper", "panda_gripper/joint_states",
           ["panda_finger_joint1", "panda_finger_joint2"], fingers, 50)  # fmt: skip
    camera(take, "wrist_camera", "camera/camera/color/image_raw/compressed", 30)


def _pose_columns(path: str, of: Path3, at: Floats, tremble: Floats | float = 0.0) -> dict[str, Floats]:  # fmt: skip
    place, turn = of.position(at), of.orientation(at)
    dot = f"{path}." if path else ""
    return {
        **{f"{dot}position.{a}": place[:, n] + tremble for n, a in enumerate(POSITION)},
        **{f"{dot}orientation.{a}": turn[:, n] for n, a in enumerate(ORIENTATION)},
    }


_WORN: dict[str, Any] = {
    "offset_s": 0.37,
    "drift_ppm": 40.0,
    "shortest_s": 0.008,
    "jitter_s": 0.003,
}


def _worn(take: Take, rate_hz: float) -> None:
    """Add the poses of head and hands, stamped by the headset."""
    for number, name in enumerate(("head", "left_hand", "right_hand")):
        of, at = body(take.seed + number, take.seconds), take.times(rate_hz)
        columns = _pose_columns("pose", of, at, sway(take, at, 1)[:, 0])
        made = Topic("geometry_msgs/msg/PoseStamped", at, columns, **_WORN)
        part = Part(name, f"vr/{name}", "poses", tuple(columns), of.pose, POSE_VALUES)
        take.add(f"vr/{name}", made, part)


def quest(take: Take) -> None:
    """A Quest: head, hands and buttons."""
    _worn(take, 72)
    for side in ("left", "right"):
        at, topic = take.times(72), f"vr/{side}_buttons"
        axes = np.clip(Motion(4, take.seed + 7, 1.2).at(at), -1, 1)
        made = Topic("sensor_msgs/msg/Joy", at, {"axes": axes, "buttons": axes[:, :2] > 0.8},
                     {"axes": 4, "buttons": 2}, **_WORN)  # fmt: skip
        take.add(topic, made, Part(f"{side}_buttons", topic, "numbers", ("axes",)))


def apple_vision(take: Take) -> None:
    """A Vision Pro: head, wrists and the joints of both hands."""
    _worn(take, 60)
    for number, side in enumerate(("left", "right")):
        of, at = body(take.seed + 1 + number, take.seconds), take.times(60)
        apart = 0.01 * np.arange(25)
        columns = {
            **{f"poses[].position.{a}": of.position(at)[:, [n]] + apart + sway(take, at, 25)
               for n, a in enumerate(POSITION)},
            **{f"poses[].orientation.{a}": np.repeat(of.orientation(at)[:, [n]], 25, axis=1)
               for n, a in enumerate(ORIENTATION)},
        }  # fmt: skip
        topic = f"vr/{side}_joints"
        made = Topic("geometry_msgs/msg/PoseArray", at, columns, {"poses": 25}, **_WORN)
        values = tuple(f"position/wrist/{a} (m)" for a in POSITION)
        take.add(topic, made, Part(f"{side}_joints", topic, "poses", tuple(columns), of.position, values))  # fmt: skip


XSENS_SEGMENTS = (
    "pelvis", "l5", "l3", "t12", "t8", "neck", "head", "right_shoulder", "right_upper_arm",
    "right_forearm", "right_hand", "left_shoulder", "left_upper_arm", "left_forearm", "left_hand",
    "right_upper_leg", "right_lower_leg", "right_foot", "right_toe", "left_upper_leg",
    "left_lower_leg", "left_foot", "left_toe",
)  # fmt: skip


def xsens(take: Take) -> None:
    """A person in an MVN suit."""
    names = [f"skeleton_{name}" for name in XSENS_SEGMENTS]
    bodies = [body(take.seed + n, take.seconds) for n in range(len(names))]
    at = take.times(100)
    columns = _several("states[].pose", bodies, at)
    topic = "xsens_mvn_ros2_stream_node/link_states"
    values = tuple(f"position/{names[0]}/{a} (m)" for a in POSITION)
    made = Topic("xsens_mvn_msgs/msg/LinkStateArray", at, columns, {"states": len(names)},
                 {"states[].header.frame_id": names}, shortest_s=0.012, jitter_s=0.002)  # fmt: skip
    take.add(topic, made, Part("body", topic, "poses", tuple(columns), bodies[0].position, values))
    turned = [f"skeleton_{j}_{a}" for j in ("right_elbow", "left_elbow", "head") for a in POSITION]
    motion = Motion(len(turned), take.seed)
    at, topic = take.times(100), "xsens_mvn_ros2_stream_node/joint_states"
    made = Topic("sensor_msgs/msg/JointState", at, {"position": motion.at(at)},
                 {"position": len(turned)}, {"name": turned}, shortest_s=0.012, jitter_s=0.002)  # fmt: skip
    take.add(topic, made, Part("joints", topic, "command", ("position",), motion.at, positions(turned)))  # fmt: skip


def _several(path: str, bodies: list[Path3], at: Floats) -> dict[str, Floats]:
    """Return the columns of the poses of several bodies."""
    places = np.stack([of.position(at) for of in bodies], axis=1)
    turns = np.stack([of.orientation(at) for of in bodies], axis=1)
    return {
        **{f"{path}.position.{a}": places[:, :, n] for n, a in enumerate(POSITION)},
        **{f"{path}.orientation.{a}": turns[:, :, n] for n, a in enumerate(ORIENTATION)},
    }


def _mocap(take: Take, rate_hz: float) -> None:
    names = ["left_hand", "right_hand", "head", "box"]
    bodies = [body(take.seed + n, take.seconds) for n in range(len(names))]
    at = take.times(rate_hz)
    columns = _several("rigidbodies[].pose", bodies, at)
    columns = {path: take.noisy(values, 2e-5) for path, values in columns.items()}
    values = tuple(f"position/box/{a} (m)" for a in POSITION)
    made = Topic("mocap4r2_msgs/msg/RigidBodies", at, columns, {"rigidbodies": len(names)},
                 {"rigidbodies[].rigid_body_name": names}, shortest_s=0.005, jitter_s=0.001,
                 there=np.ones((len(at), len(names)), bool), bodies="rigidbodies")  # fmt: skip
    part = Part("bodies", "rigid_bodies", "bodies", tuple(columns), bodies[3].position, values)
    take.add("rigid_bodies", made, part)


def optitrack(take: Take) -> None:
    """Four bodies that OptiTrack follows."""
    _mocap(take, 120)


def vicon(take: Take) -> None:
    """Four bodies that Vicon follows."""
    _mocap(take, 100)


def inspire(take: Take) -> None:
    """Two Inspire hands that do not feel."""
    _inspire(take, False)


def inspire_ftp(take: Take) -> None:
    """Two Inspire hands that feel."""
    _inspire(take, True)


def xela(take: Take) -> None:
    """Three uSkin pads of 4 x 4 taxels, stamped by their server."""
    at = take.times(100)
    normal = touch(take, at, 48, 0.0, 1.5, 0.01)
    columns = {
        "sensors[].forces[].z": normal,
        "sensors[].forces[].x": 0.1 * normal,
        "sensors[].forces[].y": take.noisy(0 * normal, 0.01),
    }
    made = Topic(
        "xela_server_ros2/msg/SensStream", at, columns,
        {"sensors": 3, "sensors[].taxels": 16, "sensors[].forces": 16},
        {"sensors[].model": ["XR1944"] * 3, "sensors[].sensor_pos": [1, 2, 3]},
        stamp="", ticks=("sensors[].time", 1.0), offset_s=0.12, drift_ppm=15.0, jitter_s=0.002,
    )  # fmt: skip
    take.add("xServTopic", made, Part("touch", "xServTopic", "touch", tuple(columns)[:1]))


def biotac(take: Take) -> None:
    """Three BioTac fingertips."""
    at = take.times(100)
    columns = {
        "bt_data[].electrode_data": np.round(touch(take, at, 57, 3000, -800, 5)),
        "bt_data[].pdc_data": np.round(touch(take, at, 3, 2000, 700, 2)),
        "bt_data[].pac_data": np.round(take.noisy(np.full((len(at), 66), 2080.0), 6)),
        "bt_data[].tdc_data": np.round(take.noisy(np.full((len(at), 3), 2100.0), 1)),
        "bt_data[].tac_data": np.round(take.noisy(np.full((len(at), 3), 1990.0), 2)),
    }
    made = Topic("biotac_sensors/msg/BioTacHand", at, columns, {"bt_data": 3},
                 {"hand_id": "left_hand", "bt_data[].bt_position": [1, 2, 3]})  # fmt: skip
    take.add(
        "biotac_pub", made,
        Part("electrodes", "biotac_pub", "touch", tuple(columns)[:1]),
        Part("pressure", "biotac_pub", "numbers", tuple(columns)[1:]),
    )  # fmt: skip


def gelsight(take: Take) -> None:
    """Two fingertips that see their gel."""
    camera(take, "left_fingertip", "gelsight_left/image_raw/compressed", 25, "gel")
    camera(take, "right_fingertip", "gelsight_right/image_raw/compressed", 25, "gel")


def realsense(take: Take) -> None:
    """Raw color and depth."""
    raw_camera(take, "color", "camera/camera/color/image_raw", 30)
    raw_camera(take, "depth", "camera/camera/aligned_depth_to_color/image_raw", 30, "depth")
    camera_info(take, "camera/camera/color/camera_info", 30)


def orbbec(take: Take) -> None:
    """Raw color and depth."""
    raw_camera(take, "color", "camera/color/image_raw", 30)
    raw_camera(take, "depth", "camera/depth/image_raw", 30, "depth")
    camera_info(take, "camera/color/camera_info", 30)


def zed(take: Take) -> None:
    """Raw color, depth in metres, and an IMU."""
    raw_camera(take, "left", "zed/zed_node/left/image_rect_color", 30)
    raw_camera(take, "depth", "zed/zed_node/depth/depth_registered", 30, "metres")
    camera_info(take, "zed/zed_node/left/camera_info", 30)
    at = take.times(200)
    sent = imu(take, at)
    columns = {
        **{f"orientation.{a}": sent["orientation"][:, n] for n, a in enumerate(ORIENTATION)},
        "angular_velocity.x": sent["angular_velocity"][:, 0],
        "linear_acceleration.z": sent["linear_acceleration"][:, 2],
    }
    topic = "zed/zed_node/imu/data"
    part = Part("imu", topic, "imu", tuple(columns)[:4], _lean, IMU_VALUES)
    take.add(topic, Topic("sensor_msgs/msg/Imu", at, columns), part)


def ati(take: Take) -> None:
    """Force and torque at two wrists."""
    for side in ("left", "right"):
        at = take.times(500)
        force, torque = wrench(take, at)
        columns = {
            **{f"wrench.force.{a}": force[:, n] for n, a in enumerate(POSITION)},
            **{f"wrench.torque.{a}": torque[:, n] for n, a in enumerate(POSITION)},
        }
        topic = f"ft_{side}/wrench"
        made = Topic("geometry_msgs/msg/WrenchStamped", at, columns)
        take.add(topic, made, Part(f"{side}_wrist", topic, "wrench", tuple(columns)))


ROBOTS: dict[str, Callable[[Take], None]] = {make.__name__: make for make in (
    unitree_g1_29, unitree_g1_29_dex3, unitree_g1_29_inspire_ftp, unitree_h1_2, kuavo, tiangong,
    agibot_g1, booster_t1, galaxea_r1, robotis_ffw, aloha, franka)}  # fmt: skip
DEVICES: dict[str, Callable[[Take], None]] = {make.__name__: make for make in (
    quest, apple_vision, xsens, optitrack, vicon, inspire, inspire_ftp, xela, biotac, gelsight,
    realsense, orbbec, zed, ati)}  # fmt: skip
TAKES = {**ROBOTS, **DEVICES}


ARM = ["joint1", "joint2", "joint3", "joint4", "joint5", "joint6"]
WITH_ARM = """
robot: arm_with_{device}
frame_rate_hz: 30
include: {{{device}: {{file: {device}, prefix: {prefix}}}}}
streams:
  arm: {{topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}}
  leader: {{topic: leader, type: sensor_msgs/msg/JointState, role: action, rate_hz: 100, of: arm}}
"""
PREFIX = "x_"


def make_take(profile: str, seed: int = 1, seconds: float = SECONDS) -> Take:
    """Return a good take of a robot, or of a device together with an arm.

    Args:
        profile: name of the robot's or device's shipped profile.
        seed: of all that is random.
        seconds: length, s.
    """
    take = Take(profile, seed, seconds)
    TAKES[profile](take)
    if profile in DEVICES:
        take.parts = [replace(part, stream=PREFIX + part.stream) for part in take.parts]
        motion = Motion(6, seed + 50, seconds=seconds)
        joints(take, "arm", "joint_states", ARM, motion, 100)
        command(take, "leader", "leader", ARM, motion, 100)
    return take


def profile_of(name: str) -> RobotProfile:
    """Return a robot's shipped profile, or that of an arm with a device."""
    if name in ROBOTS:
        return load_profile(name)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(WITH_ARM.format(device=name, prefix=PREFIX))
        file.flush()
        return load_profile(file.name)
