"""``--json``: valid JSON on standard output and nothing else, null for what is not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.bags import PROFILE, small_robot

from robot_recorder.cli.main import main
from robot_recorder.cli.terminal import say_json
from robot_recorder.floor.store import open_store

PAGE = (Path(__file__).parents[2] / "docs/commands.md").read_text()


def assert_documented(command: str, *objects: dict[str, Any]) -> None:
    """Every key is named in the command's section of docs/commands.md."""
    section = PAGE.split(f"\n## {command}\n")[1].split("\n## ")[0]
    missing = {key for plain in objects for key in plain if f"`{key}`" not in section}
    assert not missing, f"{command}: {missing}"


def values(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[Any]:
    """What a command printed: one value, or one per line."""
    assert main([str(word) for word in arguments]) in (0, 1)
    out = capsys.readouterr().out
    try:
        return [json.loads(out)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in out.splitlines()]


def test_unknown_values_of_episodes_and_labels_are_null(small_bag: Path, capsys) -> None:
    (entry,) = values(capsys, "episodes", small_bag.parent, "--json")
    for key in (
        "robot",
        "task",
        "operator",
        "cause",
        "reason",
        "frames",
        "complete",
        "skew_p95_ms",
    ):
        assert entry[key] is None, key
    (labels,) = values(capsys, "label", small_bag, "--json")
    for key in ("task", "instruction", "operator", "cause"):
        assert labels["now"][key] is None, key
    assert_documented("episodes", entry)
    assert_documented("label", labels, labels["now"])


def test_stats(six_episodes: Path, capsys) -> None:
    (found,) = values(capsys, "stats", six_episodes, "--json", "--robot", "r2")
    assert found["total"]["episodes"] == 3
    (day,) = [d for name, d in found["by"]["day"].items() if name == "2023-11-15"]
    assert day["success_rate"] == 1.0 and found["by"]["operator"]["ann"]["success"] == 1
    assert_documented("stats", found, found["by"], found["total"])


def test_catalogue(six_episodes: Path, capsys) -> None:
    (six_episodes / "broken").mkdir()
    (six_episodes / "broken" / "metadata.yaml").write_text("rubbish")
    ((found,),) = values(capsys, "catalogue", six_episodes, "--json")
    assert found["root"] == str(six_episodes) and found["episodes"] == 6
    assert "broken" in found["unreadable"][0] and found["size_bytes"] > 0
    assert_documented("catalogue", found)


def test_recover(crashed_root: Path, capsys) -> None:
    (found,) = values(capsys, "recover", crashed_root, "--json")
    assert found["recovered"] == [] and found["being_recorded"] == []
    (died,) = found["not_recovered"]
    assert "no data file" in died["message"] and Path(died["path"]).exists()
    whole = open_store(crashed_root).paths()[0]
    (nothing,) = values(capsys, "recover", whole, "--json")
    assert nothing == {"recovered": [], "not_recovered": [], "being_recorded": []}
    (whole / "metadata.yaml").unlink()
    (found,) = values(capsys, "recover", whole, "--json")
    assert (
        found["recovered"][0]["path"] == str(whole)
        and "messages" in found["recovered"][0]["message"]
    )
    assert_documented("recover", found, found["recovered"][0])


def test_trash(crashed_root: Path, capsys) -> None:
    store = open_store(crashed_root)
    first, second = store.paths()
    gone = store.discard(first)
    ((found,),) = values(capsys, "trash", crashed_root, "--json")
    assert found["episode_id"] == first.name and found["path"] == str(gone)
    assert found["discarded_ns"] < found["kept_until_ns"]
    assert_documented("trash", found, {"restored": "", "deleted": ""})
    assert values(capsys, "trash", crashed_root, "--restore", first.name, "--json") == [
        {"restored": str(first)}
    ]
    paths = [store.discard(path) for path in (first, second)]
    deleted = values(capsys, "trash", crashed_root, "--delete", first.name, second.name, "--json")
    assert deleted == [{"deleted": str(path)} for path in paths]


def test_profile_check(tmp_path: Path, capsys) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(PROFILE)
    (found,) = values(capsys, "profile", "check", path, "--json")
    assert found["file"] == str(path) and found["problems"] == []
    assert found["robot"] and found["aligned"] <= found["streams"]
    assert_documented("profile", found)


def test_certificate_with_a_picture(small_bag: Path, tmp_path: Path, capsys) -> None:
    (found,) = values(
        capsys, "certificate", small_bag, "--json", "--picture", tmp_path / "sync.png"
    )
    assert found["frames"] > 0 and (tmp_path / "sync.png").exists()


def test_show(tmp_path: Path, capsys) -> None:
    bags = [small_robot(tmp_path / name, 1.0) for name in ("one", "two")]
    (found,) = values(capsys, "show", bags[0], "--json", "--out", tmp_path)
    assert found == {
        "files": [str(tmp_path / f"one{s}") for s in (".png", ".html")],
        "problems": [],
    }
    (found,) = values(capsys, "show", *bags, "--json", "--out", tmp_path / "both.png")
    assert found["files"] == [str(tmp_path / "both.png")]
    assert {e["path"] for e in found["episodes"]} == set(map(str, bags))
    assert all(e["verdict"] == "unknown" and e["duration_s"] > 0 for e in found["episodes"])
    assert_documented("show", found, *found["episodes"])


def test_align_check_tasks_and_latency(small_bag: Path, tmp_path: Path, capsys) -> None:
    (aligned,) = values(capsys, "align", small_bag, "--json", "--out", tmp_path / "x.npz")
    assert aligned["table"] == str(tmp_path / "x.npz")
    ((checked,),) = values(capsys, "check", small_bag, "--json")
    assert checked["path"] == str(small_bag)
    (tasks,) = values(capsys, "tasks", "--json")
    assert set(tasks) == {"programmes", "tasks"}
    (latencies,) = values(capsys, "latency", small_bag, "--json")
    assert {"stream", "remaining_ms"} <= set(latencies[0])
    assert_documented("latency", *latencies)
    assert_documented("tasks", tasks)
    assert_documented("check", checked, *checked["findings"])


def test_nan_and_infinite_numbers_are_null(capsys) -> None:
    say_json({"a": [float("nan"), 1.5], "b": {"c": float("inf")}, "d": (float("-inf"),)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "b": {"c": None}, "d": [None]}
