"""Start recorder, synchronizer and labeller of one robot.

ros2 launch robot_recorder record.launch.py profile:=g1_sim root:=/data/episodes namespace:=robot_07
ros2 launch robot_recorder record.launch.py profile:=g1_sim console:=true        # and open what it prints
ros2 launch robot_recorder record.launch.py profile:=g1_sim agent:=agent.yaml    # and send episodes to the centre
"""

from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import LaunchConfiguration, NotEqualsSubstitution, OrSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription
from robot_recorder.configuration.dds import dds_environment
from robot_recorder.model.errors import ConfigError

ARGUMENTS = {
    "namespace": ("", "namespace of the robot; also its name in episode ids"),
    "profile": ("g1_sim", "robot profile: a YAML file, or the name of one in config/robots"),
    "root": ("~/episodes", "root directory of the episodes"),
    "tasks": ("", "task registry: a YAML file; empty: the installed one"),
    "task": ("", "task of the first episodes"),
    "operator": ("", "who drives the robot"),
    "writer": ("mcap", "bag writer: mcap or rosbag2_py"),
    "pre_roll_s": ("2.0", "s before the start that belong to an episode"),
    "max_ring_mb": ("512", "MB of memory for the pre-roll"),
    "max_encode_mb": ("256", "MB of raw pictures that may wait to be encoded; more is dropped"),
    "max_queue_mb": ("512", "MB that may wait for the disk; more is dropped"),
    "max_episode_s": ("600.0", "s; a longer episode is stopped and finalised"),
    "max_file_mb": ("0", "MB of an episode's data file; 0: no limit"),
    "max_file_s": ("0.0", "s that an episode's data file covers; 0: no limit"),
    "min_free_mb": ("500", "MB of the disk that are always kept free"),
    "trash_days": ("7.0", "days that discarded episodes are kept"),
    "trash_max_gb": ("20.0", "GB of discarded episodes above which a warning is shown"),
    "compress": ("never", "compress finished episodes: never, idle"),
    "file_mode": ("0640", "mode of the files, octal; directories get x wherever files have r"),
    "second_recorder": (
        "false",
        "record although another recorder records this robot into this root",
    ),
    "check": ("true", "check the quality while recording; the verdict is known at stop"),
    "use_sim_time": ("false", "take the time from /clock"),
    "buttons": ("", "bindings of buttons: files, or names such as pedal,playstation; empty: none"),
    "language": ("en", "of what is said and shown: en, zh or de"),
    "tones": ("true", "play tones on this machine"),
    "speech": ("false", "speak on this machine, with espeak-ng"),
    "quiet": ("", "events that are not heard, such as start,stop"),
    "station": ("", "where the robot is"),
    "host": ("127.0.0.1", "address that the console listens on"),
    "port": ("8080", "port of the console; 0: any free one"),
    "users": ("", "users file of the console"),
    "token": ("", "file with a token for operators at the console"),
    "certificate": ("", "PEM file for HTTPS at the console"),
    "key": ("", "PEM file of its key"),
    "allowed_hosts": ("", "further names that browsers use for this machine"),
    "agent": (
        "",
        "configuration of the station agent, which sends episodes to the centre; empty: none",
    ),
    "dds_profile": (
        "large_data",
        "DDS profile of these nodes and those after them: large_data, none, or a file of Fast DDS; what the "
        "environment sets already stays",
    ),
}
TYPES = {
    "pre_roll_s": float, "max_ring_mb": int, "max_encode_mb": int, "max_queue_mb": int,
    "max_episode_s": float, "max_file_mb": int, "max_file_s": float, "min_free_mb": int,
    "trash_days": float, "trash_max_gb": float,
    "second_recorder": bool, "check": bool, "use_sim_time": bool, "tones": bool, "speech": bool, "port": int,
}  # fmt: skip


def parameters(*names):
    # Always with its type: a bare LaunchConfiguration is parsed as YAML, which makes 007 a number.
    return [
        {n: ParameterValue(LaunchConfiguration(n), value_type=TYPES.get(n, str)) for n in names}
    ]


def node(executable, condition, *names, renamed=(), **more):
    # ``renamed``: parameters of the node that are called otherwise here.
    given = [
        {
            p: ParameterValue(LaunchConfiguration(a), value_type=str)
            for p, a in dict(renamed).items()
        }
    ]
    return Node(
        package="robot_recorder",
        executable=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=parameters(*names) + given,
        condition=condition,
        output="screen",
        emulate_tty=True,
        # Finalising an episode on a slow disk may take longer than the default of 5 s.
        sigterm_timeout="30",
        sigkill_timeout="30",
        **more,
    )


def with_dds_profile(context):
    choice = LaunchConfiguration("dds_profile").perform(context)
    try:
        chosen, why_none = dds_environment(choice, context.environment, Path.cwd())
    except ConfigError as error:
        raise RuntimeError(str(error)) from error
    if why_none:
        return [LogInfo(msg=f"without the DDS profile for large data: {why_none}")]
    return [SetEnvironmentVariable(name, value) for name, value in chosen.items()]


def generate_launch_description():
    composed = IfCondition(LaunchConfiguration("composed"))
    alone = UnlessCondition(LaunchConfiguration("composed"))
    shift, served = LaunchConfiguration("shift"), LaunchConfiguration("console")
    recorder = (
        "profile", "root", "tasks", "writer", "file_mode", "pre_roll_s", "max_ring_mb", "max_encode_mb",
        "max_queue_mb", "max_episode_s", "max_file_mb", "max_file_s", "min_free_mb", "trash_days",
        "trash_max_gb", "compress", "second_recorder", "check", "use_sim_time",
    )  # fmt: skip
    operator = (
        "profile", "root", "tasks", "buttons", "language", "tones", "speech", "quiet", "station",
        "use_sim_time",
    )  # fmt: skip
    console = (
        "profile", "root", "tasks", "language", "host", "port", "users", "token", "certificate",
        "key", "allowed_hosts",
    )  # fmt: skip
    labeller = ("tasks", "task", "operator", "use_sim_time")
    ending = {"on_exit": Shutdown(reason="the recorder ended")}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, (default, text) in ARGUMENTS.items()
            ),
            DeclareLaunchArgument(
                "composed",
                default_value="true",
                choices=["true", "false"],
                description="all in one process, sharing one subscription per topic",
            ),
            DeclareLaunchArgument(
                "shift",
                default_value="false",
                choices=["true", "false"],
                description="also start the operator node: shifts, buttons, what is heard",
            ),
            DeclareLaunchArgument(
                "console",
                default_value="false",
                choices=["true", "false"],
                description="also serve the operator's console, with the operator node",
            ),
            OpaqueFunction(function=with_dds_profile),
            node("record", composed, *recorder, "task", "operator", **ending),
            node("recorder", alone, *recorder, **ending),
            node("synchronizer", alone, "profile", "use_sim_time"),
            node("labeller", alone, *labeller),
            node("operator", IfCondition(OrSubstitution(shift, served)), *operator),
            node("console", IfCondition(served), *console),
            node(
                "agent",
                IfCondition(NotEqualsSubstitution(LaunchConfiguration("agent"), "")),
                "root",
                renamed={"config": "agent"},
            ),
        ]
    )
