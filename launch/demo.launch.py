"""Start the simulated robot and its recorder, to be controlled by services.

    ros2 launch robot_recorder demo.launch.py root:=/tmp/episodes
    ros2 service call /sim/perform robot_recorder/srv/PerformTask "{task: lift_box, seed: 1}"
    ros2 service call /recorder/toggle_episode std_srvs/srv/Trigger
    ros2 service call /labeller/mark_success std_srvs/srv/Trigger

With the operator's console, where the robot moves while you press the buttons:

    ros2 launch robot_recorder demo.launch.py root:=/tmp/episodes console:=true

Needs mujoco, fast-simplification, scipy and the model's wheel: requirements/sim.txt and assets.txt.
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription


def generate_launch_description():
    record = PathJoinSubstitution(
        [FindPackageShare("robot_recorder"), "launch", "record.launch.py"]
    )
    passed = {n: LaunchConfiguration(n) for n in ("namespace", "root", "console", "buttons")}
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "namespace", default_value="", description="namespace of the robot"
            ),
            DeclareLaunchArgument("root", default_value="~/episodes", description="episode folder"),
            DeclareLaunchArgument(
                "cache", default_value="~/.cache/robot_recorder", description="prepared 3D model"
            ),
            DeclareLaunchArgument(
                "console", default_value="false", description="serve the operator's console"
            ),
            DeclareLaunchArgument(
                "buttons", default_value="", description="bindings of buttons, such as playstation"
            ),
            Node(
                package="robot_recorder",
                executable="sim_hands",
                namespace=LaunchConfiguration("namespace"),
                condition=IfCondition(LaunchConfiguration("console")),
                output="screen",
            ),
            Node(
                package="robot_recorder",
                executable="sim_robot",
                namespace=LaunchConfiguration("namespace"),
                parameters=[
                    {"cache": ParameterValue(LaunchConfiguration("cache"), value_type=str)}
                ],
                output="screen",
                emulate_tty=True,
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(record),
                launch_arguments={**passed, "profile": "g1_sim", "task": "lift_box"}.items(),
            ),
        ]
    )
