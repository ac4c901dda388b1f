"""What `deploy/` ships: its command lines are those of the program, and its files are valid."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from robot_recorder.cli.commands import parser_for

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def units() -> Iterator[tuple[str, list[str]]]:
    for unit in UNITS:
        words = shlex.split(re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.M)[0])
        assert Path(words[0]).name == "robot-recorder"
        yield unit.name, words[1:]


def containers() -> Iterator[tuple[str, list[str]]]:
    command = re.findall(r"^CMD (.*)$", (DEPLOY / "Dockerfile").read_text(), re.M)[0]
    yield "Dockerfile", yaml.safe_load(command)
    services = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())["services"]
    for name in ("centre", "worker"):
        yield f"compose {name}", services[name]["command"]
    for thing in manifests():
        for container in (
            thing.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
        ):
            yield f"kubernetes {container['name']}", container["args"]


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/centre.yaml").read_text()))


@pytest.mark.parametrize("what, words", [*units(), *containers()], ids=lambda v: str(v)[:40])
def test_a_shipped_command_line_is_understood(what: str, words: list[str]) -> None:
    options = parser_for(words).parse_args(words)
    assert callable(options.run), what


def test_a_word_that_no_command_knows_would_be_noticed() -> None:
    with pytest.raises(SystemExit):
        parser_for(["agent", "--no-such-option"]).parse_args(["agent", "--no-such-option"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path) -> None:
    there = tmp_path / unit.name  # the program and the user exist where it is installed
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
    there.write_text(re.sub(r"^User=.*\n", "", text, flags=re.M))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", there], capture_output=True, text=True
    )
    own = [line for line in done.stderr.splitlines() if there.stem in line]
    assert own == [], done.stderr


def test_everything_that_compose_mounts_and_reads_is_declared() -> None:
    plain = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())
    mounted = {v.partition(":")[0] for s in plain["services"].values() for v in s["volumes"]}
    assert mounted == plain["volumes"].keys()
    for name, service in plain["services"].items():
        assert service.get("depends_on", {}).keys() <= plain["services"].keys(), name


def test_every_kubernetes_object_is_complete_and_its_labels_agree() -> None:
    things = manifests()
    assert [t["kind"] for t in things] == [
        "PersistentVolumeClaim", "StatefulSet", "Service", "Deployment"
    ]  # fmt: skip
    for thing in things:
        assert thing["apiVersion"] and thing["metadata"]["name"]
        if "template" in thing["spec"]:
            wanted = thing["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= thing["spec"]["template"]["metadata"]["labels"].items()
            pod = thing["spec"]["template"]["spec"]
            mounts = {m["name"] for c in pod["containers"] for m in c["volumeMounts"]}
            assert mounts == {v["name"] for v in pod["volumes"]}
