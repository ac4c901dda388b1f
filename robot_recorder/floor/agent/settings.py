"""The configuration of a station agent: a YAML file, see ``config/agent.yaml``."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from robot_recorder.configuration.users import read_secret
from robot_recorder.configuration.yaml_source import YamlMap
from robot_recorder.floor.agent.bandwidth import BandwidthPlan
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.ids import id_problem
from robot_recorder.model.text import text_problem

_MOST_BYTES = 1_000_000
_MOST_PARALLEL = 32
_KEYS = (
    "centre", "site", "robot", "token", "public_keys", "ca", "bandwidth", "parallel_parts",
    "while_recording", "share_while_recording", "keep_days", "delete", "free_below_gb",
)  # fmt: skip


class DeleteWhen(str, Enum):
    """When an episode that may be deleted is deleted."""

    WHEN_FULL = "when_full"  # while less of the disk is free than configured
    AGED = "aged"  # as soon as it is old enough


class WhileRecording(str, Enum):
    """What happens to the sending of data while an episode is recorded."""

    PAUSE = "pause"  # none is sent
    SHARE = "share"  # a share of the bandwidth is used; none while the recorder loses messages
    SEND = "send"  # it goes on


@dataclass(frozen=True)
class AgentSettings:
    """The configuration of a station agent.

    Attributes:
        centre: its address.
        site, robot: who the token was made for.
        token: what the centre knows this robot by.
        public_keys: of the centre, base64; receipts signed with another are not believed.
        ca: PEM file of who signed the centre's certificate; empty: those the system trusts.
        bandwidth: when how much may be sent.
        parallel_parts: how many parts of a file are sent at once.
        while_recording: what happens while an episode is recorded.
        share: of the bandwidth, for ``WhileRecording.SHARE``; 0 to 1.
        keep_days: since an episode was recorded, before which it is not deleted; None: for ever.
        delete: when it is deleted then.
        free_below_bytes: of free disk space, for ``DeleteWhen.WHEN_FULL``.
    """

    centre: str
    site: str
    robot: str
    token: str = field(repr=False)
    public_keys: tuple[str, ...]
    ca: str = ""
    bandwidth: BandwidthPlan = field(default_factory=BandwidthPlan)
    parallel_parts: int = 4
    # Until it is measured on a robot that sending costs no messages, nothing is sent meanwhile.
    while_recording: WhileRecording = WhileRecording.PAUSE
    share: float = 0.5
    keep_days: float | None = 7.0
    delete: DeleteWhen = DeleteWhen.WHEN_FULL
    free_below_bytes: float = 50e9


def load_settings(path: Path) -> AgentSettings:
    """Read the configuration of a station agent.

    Raises:
        ConfigError: it cannot be read or is invalid; the message names file, line and the fix.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error
    return parse_settings(text, path)


def parse_settings(text: str, path: Path) -> AgentSettings:
    """Parse the configuration of a station agent.

    Args:
        text: content of the file.
        path: of the file; relative paths in it begin at its folder.

    Raises:
        ConfigError: it is invalid; the message names file, line and the fix.
    """
    top = YamlMap.parse(text, str(path))
    top.allow(_KEYS)
    usual = AgentSettings("", "", "", "", ())
    gb = top.number("free_below_gb", usual.free_below_bytes / 1e9, above=0, most=1e6)
    share = top.number("share_while_recording", usual.share, above=0, most=1)
    assert gb is not None and share is not None
    return AgentSettings(
        centre=top.text("centre"),
        site=_name(top, "site"),
        robot=_name(top, "robot"),
        token=_token(top, path),
        public_keys=_public_keys(top),
        ca=str(_file(top, "ca", path)) if "ca" in top else "",
        bandwidth=_bandwidth(top),
        parallel_parts=_parallel(top, usual.parallel_parts),
        while_recording=WhileRecording(
            top.choice(
                "while_recording", [w.value for w in WhileRecording], usual.while_recording.value
            )
        ),
        share=share,
        keep_days=_keep_days(top, usual.keep_days),
        delete=DeleteWhen(
            top.choice("delete", [when.value for when in DeleteWhen], usual.delete.value)
        ),
        free_below_bytes=gb * 1e9,
    )


def _name(top: YamlMap, key: str) -> str:
    name = top.text(key)
    if problem := text_problem("robot", name, f"'{key}'") or id_problem(name):
        top.fail_at(key, problem)
    return name


def _file(top: YamlMap, key: str, path: Path) -> Path:
    return path.parent / Path(top.text(key)).expanduser()


def _token(top: YamlMap, path: Path) -> str:
    file = _file(top, "token", path)
    token = read_secret(file).strip()
    if (
        not 16 <= len(token) <= 1000
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        top.fail_at(
            "token",
            f"{file} does not hold a token: robot-recorder centre token add SITE ROBOT makes one",
        )
    return token


def _public_keys(top: YamlMap) -> tuple[str, ...]:
    keys = top.texts("public_keys")
    for key in keys:
        try:
            raw = base64.b64decode(key, validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) != 32:
            top.fail_at(
                "public_keys", f"{key[:60]!r} is not a public key: the centre prints its own"
            )
    if not keys:
        top.fail(
            "'public_keys' is missing: the centre prints its own; without it nothing is ever deleted"
        )
    return keys


def _bandwidth(top: YamlMap) -> BandwidthPlan:
    try:
        return BandwidthPlan.parse(top.text("bandwidth", "unlimited"))
    except ConfigError as error:
        top.fail_at("bandwidth", str(error))


def _parallel(top: YamlMap, usual: int) -> int:
    number = top.number("parallel_parts", usual, above=0, most=_MOST_PARALLEL)
    if number is None or number != int(number):
        top.fail_at("parallel_parts", f"must be a whole number, not {number:g}")
    return int(number)


def _keep_days(top: YamlMap, usual: float | None) -> float | None:
    if top.value("keep_days") == "never":
        return None
    return top.number("keep_days", usual, above=0, most=1e5)
