"""An episode in rviz, or a robot at work: how it moves, its cameras, forces and touch, and what is said of it.

ros2 launch robot_recorder playback.launch.py episode:=PATH rate:=0.5 loop:=true
ros2 launch robot_recorder playback.launch.py live:=g1_sim namespace:=robot_07

What was recorded is published again, commands included: play in a ROS_DOMAIN_ID that no robot is in.
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
except ModuleNotFoundError as error:  # what only reading bags needs may be missing on a robot
    install = f"rosdep install --from-paths src -i, or pip install {error.name}"
    raise RuntimeError(f"playback needs {error.name}: {install}") from error

TRUTH = ["true", "false"]
ARGUMENTS = {
    "episode": ("", "directory of the episode, or of any rosbag2 bag", None),
    "rate": ("1.0", "2.0: twice as fast", None),
    "start": ("0.0", "s from the first message", None),
    "loop": ("false", "begin again at the end", TRUTH),
    "paused": ("false", "begin paused", TRUTH),
    "description": ("", "URDF file of the robot; empty: its own, or the one in the bag", None),
    "rviz": ("true", "open rviz", TRUTH),
    "live": ("", "instead of an episode: profile of a robot to look at as it works", None),
    "namespace": ("", "of that robot; an episode is shown in the one it is from", None),
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
    # With its type, always: bare text is read as YAML, and an episode called 007 is no number.
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
