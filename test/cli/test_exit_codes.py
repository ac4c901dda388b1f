"""Exit codes: one table in the docs, one in the code.

Holds also: model/errors.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from robot_recorder.cli.exit_codes import MEANINGS, ExitCode
from robot_recorder.cli.main import main

ROOT = Path(__file__).parents[2]
PROGRAM = "from robot_recorder.cli.main import main; raise SystemExit(main())"
COMMANDS = ROOT / "robot_recorder" / "cli"


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    page = (ROOT / "docs/commands.md").read_text()
    section = page.split("## Exit codes")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", section, re.M)
    assert rows == [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
    assert set(MEANINGS) == set(ExitCode)


def test_no_command_has_numbers_of_its_own() -> None:
    for path in COMMANDS.glob("*.py"):
        assert not re.search(r"^\s+(return [012]|return int\(|sys\.exit|raise SystemExit\(\d)", path.read_text(), re.M), path  # fmt: skip


def test_ctrl_c_has_its_own_code(monkeypatch) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("robot_recorder.configuration.find.load_tasks", interrupted)
    assert main(["tasks"]) == ExitCode.INTERRUPTED
    assert int(ExitCode.INTERRUPTED) == 130


def test_a_closed_pipe_is_not_an_error() -> None:
    """As ``robot-recorder tasks | head -1``, with and without a table."""
    for arguments in ("tasks", "tasks --json", "--help", "completion bash"):
        shell = f"set -o pipefail; {sys.executable} -c '{PROGRAM}' {arguments} | true"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd="/")
        assert (done.returncode, done.stderr) == (0, ""), (arguments, done)


@pytest.mark.parametrize("arguments", ["tasks", "tasks --json", "completion bash"])
def test_a_full_disk_is_one_clear_line(arguments: str) -> None:
    shell = f"{sys.executable} -c '{PROGRAM}' {arguments} > /dev/full"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd="/")
    assert done.returncode == ExitCode.FAILED
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


def test_a_folder_that_cannot_be_made_is_named(small_bag: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "folder"
    for arguments in (
        ["align", str(small_bag), "--out", str(target)],
        ["show", str(small_bag), "--out", str(target)],
        ["certificate", str(small_bag), str(small_bag), "--picture", str(target)],
    ):
        assert main(arguments) == ExitCode.FAILED
        assert f"error: {target} cannot be made: Not a directory\n" in capsys.readouterr().err
