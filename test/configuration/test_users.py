"""The users file of the console."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_recorder.configuration.users import UserRole, load_users
from robot_recorder.model.errors import ConfigError

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA"


def test_users_have_a_role_and_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(f"users:\n  ann: {{role: inspector, password: '{HASH}'}}\n")
    assert load_users(file)["ann"].role is UserRole.INSPECTOR


@pytest.mark.parametrize("text, told", [
    ("users: {}", "names no users"),
    ("users:\n  ann: {role: king, password: x}", "role"),
    ("users:\n  ann: {role: admin, password: hunter2}", "argon2"),
    (f"users:\n  ann: {{role: admin, password: '{HASH}', sudo: true}}", "sudo"),
    (f'users:\n  "a\\u202eb": {{role: admin, password: "{HASH}"}}', "not allowed"),
    ("- ann", "users.yaml"),
])  # fmt: skip
def test_a_file_that_is_wrong_is_refused_with_its_reason(
    tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=told):
        load_users(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere.yaml cannot be read"):
        load_users(tmp_path / "nowhere.yaml")
