"""Start recorder, synchronizer and labeller of one robot.

ros2 launch robot_recorder record.launch.py profile:=g1_sim root:=/data/episodes namespace:=robot_07
"""

from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

ARGUMENTS = {
    "namespace": ("", "namespace of the robot; also its name in episode ids"),
    "profile": ("g1_sim", "robot profile: a YAML file, or the name of one in config/robots"),
    "root": ("~/episodes", "root directory of the episodes"),
    "tasks": ("", "task registry: a YAML file; empty: the installed one"),
    "task": ("", "task of the first episodes"),
    "operator": ("", "who drives the robot"),
    "writer": ("mcap", "bag writer: mcap or rosbag2_py"),
    "pre_roll_s": ("2.0", "s before the start that belong to an episode"),
    "max_episode_s": ("600.0", "s; a longer episode is stopped and finalised"),
    "min_free_mb": ("500", "MB of the disk that are always kept free"),
    "trash_days": ("7.0", "days that discarded episodes are kept"),
    "file_mode": ("0640", "mode of the files, octal; directories get x wherever files have r"),
    "second_recorder": (
        "false",
        "record although another recorder records this robot into this root",
    ),
    "use_sim_time": ("false", "take the time from /clock"),
}
TYPES = {
    "pre_roll_s": float, "max_episode_s": float, "min_free_mb": int, "trash_days": float,
    "second_recorder": bool, "use_sim_time": bool,
}  # fmt: skip


def parameters(*names):
    # Always with its type: a bare LaunchConfiguration is parsed as YAML, which makes 007 a number.
    return [
        {n: ParameterValue(LaunchConfiguration(n), value_type=TYPES.get(n, str)) for n in names}
    ]


def node(executable, condition, *names, **more):
    return Node(
        package="robot_recorder",
        executable=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=parameters(*names),
        condition=condition(LaunchConfiguration("composed")),
        output="screen",
        emulate_tty=True,
        # Finalising an episode on a slow disk may take longer than the default of 5 s.
        sigterm_timeout="30",
        sigkill_timeout="30",
        **more,
    )


def generate_launch_description():
    recorder = ("profile", "root", "tasks", "writer", "file_mode", *TYPES)
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
            node("record", IfCondition, *recorder, "task", "operator", **ending),
            node("recorder", UnlessCondition, *recorder, **ending),
            node("synchronizer", UnlessCondition, "profile", "use_sim_time"),
            node("labeller", UnlessCondition, *labeller),
        ]
    )
