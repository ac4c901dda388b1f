"""Show an episode or a running robot in rviz: motion, cameras, forces, touch, labels and health.

ros2 launch robot_recorder playback.launch.py episode:=PATH rate:=0.5 loop:=true
ros2 launch robot_recorder playback.launch.py live:=g1_sim namespace:=robot_07

All recorded messages are published, commands included: use a ROS_DOMAIN_ID without robots.
"""

import tempfile
from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    Shutdown,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

try:
    from robot_recorder.rviz.stage import LaunchArguments, live_stage, stage_for
except ModuleNotFoundError as error:  # packages for reading bags may be missing on a robot
    install = f"rosdep install --from-paths src -i, or pip install {error.name}"
    raise RuntimeError(f"playback needs {error.name}: {install}") from error

TRUTH = ["true", "false"]
ARGUMENTS = {
    "episode": ("", "directory of the episode, or of any rosbag2 bag", None),
    "rate": ("1.0", "2.0: twice as fast", None),
    "start": ("0.0", "s from the first message", None),
    "loop": ("false", "start again at the end", TRUTH),
    "paused": ("false", "start paused", TRUTH),
    "description": ("", "URDF file of the robot; empty: the published or recorded one", None),
    "rviz": ("true", "open rviz", TRUTH),
    "live": ("", "profile of a running robot to show instead of an episode", None),
    "namespace": ("", "namespace of the running robot; an episode has its own", None),
}


def play(context):
    wish = LaunchArguments.from_texts(
        {n: LaunchConfiguration(n).perform(context) for n in ARGUMENTS}
    )
    folder = Path(tempfile.mkdtemp(prefix="robot_recorder_"))
    if wish.live:
        from robot_recorder.nodes.live_robot import look_at_robot

        stage = live_stage(wish, look_at_robot(wish), folder)
    else:
        stage = stage_for(wish, folder)
    actions = [LogInfo(msg=note) for note in stage.notes]
    return actions + [action(program, stage.namespace) for program in stage.programs]


def action(program, namespace):
    about = {"output": "screen"}
    if program.essential:
        about["on_exit"] = Shutdown(reason=f"{program.executable or 'playing'} ended")
    if not program.package:
        return ExecuteProcess(cmd=list(program.arguments), **about)
    if namespace:
        about["namespace"] = namespace
    # Always with its type: bare text is parsed as YAML, which makes an episode 007 a number.
    parameters = {
        name: ParameterValue(value, value_type=type(value))
        for name, value in program.parameters.items()
    }
    return Node(
        package=program.package,
        executable=program.executable,
        arguments=list(program.arguments),
        parameters=[parameters] if parameters else [],
        remappings=list(program.remappings),
        **about,
    )


def generate_launch_description():
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    name, default_value=default, description=text, choices=choices
                )
                for name, (default, text, choices) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=play),
        ]
    )
