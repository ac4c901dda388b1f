"""Decides which programs show an episode or a robot in RViz, without depending on ``launch``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from robot_recorder.configuration.find import ament_prefixes, config_directory
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import ConfigError
from robot_recorder.playback.playhead import checked_rate
from robot_recorder.playback.selection import choose
from robot_recorder.rviz.layout import RvizContent, layout_for, look_at

_CLOCK_HZ = 100.0
_LINKS_HZ = 50.0  # at robot_state_publisher's default of 20 Hz, motion stutters
_TF = (("/tf", "tf"), ("/tf_static", "tf_static"))
_STATE_PUBLISHER = "robot_state_publisher"
Parameter = str | float | bool


@dataclass(frozen=True)
class LaunchArguments:
    """The arguments of the launch file.

    Attributes:
        episode: path of the bag.
        rate: of playback; 1: as recorded.
        start_s: s from the first message.
        loop: play again and again.
        paused: start paused.
        description: file with a URDF to show instead of the robot's own; empty: the robot's own.
        rviz: start RViz.
        live: profile of a robot to show as it is now; empty: show the episode.
        namespace: of that robot, with a leading slash; empty: the root.
    """

    episode: Path
    rate: float = 1.0
    start_s: float = 0.0
    loop: bool = False
    paused: bool = False
    description: str = ""
    rviz: bool = True
    live: str = ""
    namespace: str = ""

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> LaunchArguments:
        """Parse the launch file's arguments.

        Raises:
            ConfigError: one of them is invalid.
        """
        if bool(texts["episode"]) == bool(texts["live"]):
            raise ConfigError(
                "give either episode:=PATH of a bag directory, or live:=PROFILE of a robot to show"
            )
        # An episode is always shown in the namespace it was recorded in.
        namespace = texts["namespace"].strip("/")
        namespace = namespace if texts["live"] else ""
        return cls(
            Path(texts["episode"]).expanduser().absolute(),
            checked_rate(_number("rate", texts["rate"])),
            _number("start", texts["start"]),
            _yes("loop", texts["loop"]),
            _yes("paused", texts["paused"]),
            texts["description"],
            _yes("rviz", texts["rviz"]),
            texts["live"],
            f"/{namespace}" if namespace else "",
        )


@dataclass(frozen=True)
class Program:
    """A process to start.

    Attributes:
        package: package of the executable; empty: ``arguments`` are the whole command line.
        executable: its name.
        arguments: on the command line.
        parameters: of the node.
        remappings: of topics, from and to.
        essential: whether everything ends when it ends.
    """

    package: str
    executable: str = ""
    arguments: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    essential: bool = False


@dataclass(frozen=True)
class Stage:
    """All programs that run.

    Attributes:
        namespace: of the nodes, with a leading slash; empty: the root.
        programs: the programs.
        notes: sentences about what is missing or differs from the usual.
    """

    namespace: str
    programs: tuple[Program, ...]
    notes: tuple[str, ...]


def installed_package(name: str) -> bool:
    """Return whether a ROS package is in the ament index of this environment."""
    index = "share/ament_index/resource_index/packages"
    return any(Path(prefix, index, name).exists() for prefix in ament_prefixes())


def stage_for(
    wish: LaunchArguments, folder: Path, installed: Callable[[str], bool] = installed_package
) -> Stage:
    """Choose the programs that show an episode.

    Args:
        wish: the launch file's arguments.
        folder: directory for RViz's layout.
        installed: tells whether a package is installed.

    Raises:
        BagError: the episode cannot be read.
        ConfigError: ``start`` is outside of it, or the description cannot be read.
        DecodeError: the description is not a URDF.
    """
    episode = Episode.open(wish.episode)
    choose(episode, [], wish.start_s)
    shown = look_at(episode, described(wish.description))
    notes: list[str] = []
    scene: dict[str, Parameter] = {"episode": str(wish.episode), "frame": shown.frame}
    programs = [
        _player(wish, episode, installed, notes),
        Program("robot_recorder", "scene", parameters=scene),
        *_state_publisher(wish, shown, installed, notes),
    ]
    notes += shown.notes
    programs += _rviz(wish, shown, folder, installed, notes)
    return Stage(shown.namespace, tuple(programs), tuple(notes))


def live_stage(
    wish: LaunchArguments,
    shown: RvizContent,
    folder: Path,
    installed: Callable[[str], bool] = installed_package,
) -> Stage:
    """Choose the programs that show a running robot.

    Args:
        wish: the launch file's arguments.
        shown: what can be shown of the robot.
        folder: directory for RViz's layout.
        installed: tells whether a package is installed.
    """
    notes: list[str] = []
    scene: dict[str, Parameter] = {"profile": wish.live}
    if not shown.description:
        notes.append(f"everything is drawn in {shown.frame}; start again once the robot is up")
    notes += shown.notes
    programs = [
        Program("robot_recorder", "scene", parameters=scene, essential=True),
        *_state_publisher(wish, shown, installed, notes),
        *_rviz(wish, shown, folder, installed, notes),
    ]
    return Stage(shown.namespace, tuple(programs), tuple(notes))


def _rviz(
    wish: LaunchArguments,
    shown: RvizContent,
    folder: Path,
    installed: Callable[[str], bool],
    notes: list[str],
) -> list[Program]:
    if not (wish.rviz and _there("rviz2", installed, "nothing is shown here", notes)):
        return []
    if any(camera.topic.endswith("/compressed") for camera in shown.cameras):
        _there("compressed_image_transport", installed, "compressed pictures stay dark", notes)
    file = Path(wish.description).expanduser().absolute() if wish.description else None
    template = (config_directory() / "episode.rviz").read_text(encoding="utf-8")
    layout = folder / "episode.rviz"
    layout.write_text(layout_for(shown, template, file), encoding="utf-8")
    # RViz draws nothing in a frame without transforms, which happens without a description.
    known = ("--frame-id", shown.frame, "--child-frame-id", "episode")
    time: dict[str, Parameter] = {"use_sim_time": not wish.live}
    remappings = _TF if shown.own_tf else ()
    return [
        Program("tf2_ros", "static_transform_publisher", known, remappings=remappings),
        Program("rviz2", "rviz2", ("-d", str(layout)), time, remappings, essential=True),
    ]


def _player(
    wish: LaunchArguments, episode: Episode, installed: Callable[[str], bool], notes: list[str]
) -> Program:
    storage = str(episode.metadata.get("storage_identifier", ""))
    has_bag_play = installed("ros2bag") and installed(f"rosbag2_storage_{storage}")
    if has_bag_play and not wish.start_s:
        words = ["ros2", "bag", "play", str(wish.episode), "--disable-keyboard-controls"]
        words += ["--clock", f"{_CLOCK_HZ:g}", "--rate", f"{wish.rate:g}"]
        words += ["--loop"] if wish.loop else []
        words += ["--start-paused"] if wish.paused else []
        return Program("", arguments=tuple(words), essential=True)
    if has_bag_play:
        notes.append(
            "robot_recorder's own player is used, because with start:= ros2 bag play leaves out "
            "the robot's description and other earlier latched messages"
        )
    parameters: dict[str, Parameter] = {
        "episode": str(wish.episode), "rate": wish.rate, "start": wish.start_s, "loop": wish.loop,
        "paused": wish.paused, "clock_hz": _CLOCK_HZ, "keyboard": False,
    }  # fmt: skip
    return Program("robot_recorder", "player", parameters=parameters, essential=True)


def _state_publisher(
    wish: LaunchArguments, shown: RvizContent, installed: Callable[[str], bool], notes: list[str]
) -> list[Program]:
    """Return a robot_state_publisher, unless the bag or robot publishes the links' transforms."""
    source = "profile" if wish.live else "bag"
    if not shown.description:
        notes.append(
            f"the robot is not shown: {'it publishes' if wish.live else 'the bag has'} no description; "
            "description:=FILE.urdf"
        )
        return []
    if shown.moved:
        return []
    if not shown.joint_states:
        notes.append(f"the robot does not move: the {source} has no joint states")
    if not _there(_STATE_PUBLISHER, installed, "the robot's links have no poses", notes):
        return []
    joints = (("joint_states", shown.joint_states),) if shown.joint_states else ()
    # The bag or the robot publishes its own description already.
    aside = (("robot_description", "shown_description"),)
    parameters: dict[str, Parameter] = {
        "robot_description": shown.description,
        "publish_frequency": _LINKS_HZ,
        "use_sim_time": not wish.live,
    }
    remappings = _TF if shown.own_tf else ()
    return [
        Program(
            _STATE_PUBLISHER,
            _STATE_PUBLISHER,
            parameters=parameters,
            remappings=(*joints, *aside, *remappings),
        )
    ]


def _there(
    package: str, installed: Callable[[str], bool], otherwise: str, notes: list[str]
) -> bool:
    if installed(package):
        return True
    name = package.replace("_", "-")
    notes.append(
        f"{package} is not installed, so {otherwise}: sudo apt install ros-$ROS_DISTRO-{name}"
    )
    return False


def described(name: str) -> str:
    """Return the text of a URDF file; empty if no file is named.

    Raises:
        ConfigError: it cannot be read.
    """
    if not name:
        return ""
    path = Path(name).expanduser()
    if path.suffix == ".xacro":
        raise ConfigError(f"{path} has to be expanded first: xacro {path} > {path.stem}")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"description {path} cannot be read: {error}") from error


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{name}:={text} is not a number") from error


def _yes(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ConfigError(f"{name}:={text} is not true or false")
    return text.lower() == "true"
