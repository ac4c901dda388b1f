"""Plays an episode: ros2 launch robot_recorder playback.launch.py episode:=PATH [rate:=1.0] [loop:=true]"""

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription


def play(context):
    value = {n: LaunchConfiguration(n).perform(context) for n in ("episode", "rate", "loop")}
    command = ["ros2", "bag", "play", value["episode"], "--rate", value["rate"], "--clock"]
    command += ["--loop"] if value["loop"] == "true" else []
    return [ExecuteProcess(cmd=command, output="screen", on_exit=Shutdown(reason="played"))]


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument("episode", description="directory of the episode"),
            DeclareLaunchArgument("rate", default_value="1.0", description="1.0: as recorded"),
            DeclareLaunchArgument("loop", default_value="false", choices=["true", "false"]),
            OpaqueFunction(function=play),
        ]
    )
