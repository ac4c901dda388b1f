"""The configuration of a station agent."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from robot_recorder.configuration.find import config_directory
from robot_recorder.floor.agent.bandwidth import BandwidthPlan
from robot_recorder.floor.agent.settings import (
    DeleteWhen,
    WhileRecording,
    load_settings,
    parse_settings,
)
from robot_recorder.model.errors import ConfigError

KEY = base64.b64encode(bytes(32)).decode()
LEAST = f"""centre: https://centre.example
site: berlin
robot: arm
token: agent.token
public_keys: ["{KEY}"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    token = tmp_path / "agent.token"
    token.write_text("a-token-of-this-robot\n")
    token.chmod(0o600)
    return tmp_path


def test_what_is_not_said_is_careful(folder: Path) -> None:
    settings = parse_settings(LEAST, folder / "agent.yaml")
    assert settings.token == "a-token-of-this-robot" and "a-token" not in repr(settings)
    assert settings.while_recording is WhileRecording.PAUSE
    assert settings.delete is DeleteWhen.WHEN_FULL and settings.keep_days == 7.0
    assert settings.bandwidth == BandwidthPlan()


def test_everything_can_be_said(folder: Path) -> None:
    text = LEAST + (
        "ca: ca.pem\nbandwidth: 22:00-06:00 unlimited, else 20 MB/s\nparallel_parts: 8\n"
        "while_recording: share\nshare_while_recording: 0.2\nkeep_days: never\ndelete: aged\nfree_below_gb: 5\n"
    )
    settings = parse_settings(text, folder / "agent.yaml")
    assert settings.ca == str(folder / "ca.pem") and settings.parallel_parts == 8
    assert settings.bandwidth.otherwise == 20e6 and settings.share == 0.2
    assert settings.keep_days is None and settings.free_below_bytes == 5e9


def test_the_shipped_example_is_valid_and_only_lacks_a_token(folder: Path) -> None:
    shipped = (config_directory() / "agent.yaml").read_text()
    settings = parse_settings(shipped, folder / "agent.yaml")
    assert settings.site == "berlin" and settings.robot == "g1_07"


@pytest.mark.parametrize(
    "line, says",
    [
        ("keep_day: 3", r"agent.yaml:6: unknown key 'keep_day'; did you mean 'keep_days'"),
        ("keep_days: 0", "must be greater than 0"),
        ("keep_days: soon", "expected a number"),
        ("bandwidth: fast", r"agent.yaml:6: 'bandwidth': 'fast' is not a rate"),
        ("parallel_parts: 2.5", "whole number"),
        ("parallel_parts: 99", "at most 32"),
        ("while_recording: stop", "not a known value"),
        ("delete: always", "not a known value"),
    ],
)
def test_a_mistake_names_the_line_and_the_fix(folder: Path, line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_settings(LEAST + line + "\n", folder / "agent.yaml")


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("site: berlin", "site: a/b", "path separator"),
        ("robot: arm", "robot: .hidden", "begins with a dot"),
        ("site: berlin\n", "", "'site' is missing"),
        (f'["{KEY}"]', '["AAAA"]', "not a public key"),
        (f'["{KEY}"]', "[]", "'public_keys' is missing"),
        ("agent.token", "other.token", "cannot be read"),
    ],
)
def test_what_is_needed_is_checked(folder: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_settings(LEAST.replace(old, new), folder / "agent.yaml")


@pytest.mark.parametrize("token", ["", "short", "two words of a token", "a-token\nand-a-line-more"])
def test_a_file_that_holds_no_token_is_refused(folder: Path, token: str) -> None:
    (folder / "agent.token").write_text(token)
    with pytest.raises(ConfigError, match="does not hold a token"):
        parse_settings(LEAST, folder / "agent.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"agent\.yaml cannot be read"):
        load_settings(tmp_path / "agent.yaml")
