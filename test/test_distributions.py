"""What set-up installs of which ROS 2 distribution, and what it says on machines that lack it."""

from __future__ import annotations

import importlib.util
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "distributions.md"


def bootstrap(monkeypatch: pytest.MonkeyPatch, distro: str = "") -> ModuleType:
    """Return set-up as it starts for a distribution; empty: none is named."""
    monkeypatch.setenv("DISTRO", distro)
    spec = importlib.util.spec_from_file_location("bootstrap_of", ROOT / "tools" / "bootstrap.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("system", "machine", "words"),
    [
        ("linux", "aarch64", "wheels exist for Linux on x86_64 only, this is linux aarch64"),
        ("darwin", "arm64", "wheels exist for Linux on x86_64 only, this is darwin arm64"),
    ],
)
def test_a_machine_without_wheels_is_told_what_is_missing_and_what_works(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, words: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(SystemExit) as ended:
        bootstrap(monkeypatch).check_platform()
    said = str(ended.value)
    first = said.splitlines()[0]
    assert words in first and first.count(". ") == 0, "one sentence says what is missing"
    assert "colcon" in said and "pip install ." in said


def test_a_distribution_without_wheels_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="'humble'.*kilted and jazzy"):
        bootstrap(monkeypatch, "humble").check_platform()


def test_each_distribution_has_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, jazzy = bootstrap(monkeypatch), bootstrap(monkeypatch, "jazzy")
    assert (plain.VENV.name, plain.BUILD.name, plain.REQUIREMENTS[0]) == (".venv", "build", "ros")
    assert (jazzy.VENV.name, jazzy.BUILD.name) == (".venv-jazzy", "build-jazzy")
    for files in (plain.REQUIREMENTS, jazzy.REQUIREMENTS):
        assert all((ROOT / "requirements" / f"{name}.txt").exists() for name in files)


@pytest.mark.parametrize(("distro", "venv"), [("", ".venv"), ("jazzy", ".venv-jazzy")])
def test_a_shell_uses_the_environment_of_its_distribution(distro: str, venv: str) -> None:
    script = f'DISTRO={distro}; . "{ROOT}/tools/env.sh"; echo "$ROS_DISTRO $AMENT_PREFIX_PATH ${{PATH%%:*}}"'
    said = subprocess.check_output(["bash", "-c", script], text=True).split()
    assert said == [distro or "kilted", str(ROOT / venv), str(ROOT / venv / "bin")]


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z][\w-]*)==([\w.]+)", text, re.MULTILINE))


def test_jazzy_has_the_packages_that_kilted_has() -> None:
    kilted, jazzy = pins("ros"), pins("ros-jazzy")
    of_jazzy = {name.removeprefix("ros-jazzy-") for name in jazzy if name.startswith("ros-jazzy-")}
    of_kilted = {name.removeprefix("ros-") for name in kilted if name.startswith("ros-")}
    newer = {"ament-cmake-ros-core", "fastdds", "rmw-security-common", "wheels-bootstrapper"}
    newer |= {"rmw-test-fixture", "rmw-test-fixture-implementation"}
    assert of_jazzy == of_kilted - newer | {"fastrtps"}
    shared = {n: v for n, v in kilted.items() if not n.startswith("ros-")}
    assert shared.items() <= jazzy.items(), "what builds the messages is the same"


def test_every_row_of_the_tables_names_tests_that_exist() -> None:
    tests = {
        name
        for path in (ROOT / "test").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert {name for names in named for name in names} <= tests
    first = [row for row in rows if row.count("|") == 8]  # the table of the distributions
    assert len(first) > 10 and all(re.search(r"`test_\w+` \|$", row) for row in first[1:])
