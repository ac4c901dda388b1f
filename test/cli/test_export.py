"""The command ``export``, as people type it.

Holds also: export_work.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from support.dataset_takes import TakeOptions, take

from robot_recorder.cli.main import main
from robot_recorder.model.labels import Outcome

pytest.importorskip("av")
pytest.importorskip("pyarrow")

SHORT = TakeOptions(seconds=1.2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("episodes")
    take(root, 0, SHORT)
    take(root, 1, SHORT, task="fold", operator="zoe")
    take(root, 2, SHORT, outcome=Outcome.FAILURE, cause="slip")
    take(root, 3, SHORT, verdict="reject")
    return root


def run(capsys, *words: object) -> tuple[int, str, str]:
    code = main(["export", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_folder_becomes_a_dataset_and_the_rest_is_explained(
    root: Path, tmp_path: Path, capsys
) -> None:
    code, out, _ = run(capsys, root, "--out", tmp_path / "set")
    assert code == 0
    assert "left out: 1: failure: slip (arm_002_lift)" in out
    assert "left out: 1: rejected: rate (arm_003_lift)" in out
    assert f"{tmp_path / 'set'}: 2 episodes, " in out and "x real time" in out
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert (info["total_episodes"], info["total_tasks"]) == (2, 2)


def test_a_dry_run_says_how_much_and_writes_nothing(root: Path, tmp_path: Path, capsys) -> None:
    code, out, _ = run(capsys, root, "--out", tmp_path / "set", "--dry-run", "--outcome", "any")
    assert code == 0 and out.startswith("3 episodes, 0.1 min, ")
    assert "left out: " in out and "rejected: rate" in out and "operator: ann 2, zoe 1" in out
    assert not list(tmp_path.iterdir())
    _, out, _ = run(capsys, root, "--dry-run", "--json", "--task", "fold")
    plain = json.loads(out)
    assert plain["episodes"] == 1 and plain["paths"] == [str(root / "arm_001_fold")]


def test_bags_can_be_named_and_saved_and_chosen_again(root: Path, tmp_path: Path, capsys) -> None:
    saved = tmp_path / "list.txt"
    run(capsys, root / "arm_000_lift", root / "arm_002_lift", "--outcome", "any",
        "--save-selection", saved, "--dry-run")  # fmt: skip
    assert saved.read_text().split() == [str(root / f"arm_00{n}_lift") for n in (0, 2)]
    _, out, _ = run(capsys, "--selection", saved, "--outcome", "failure", "--dry-run", "--json")
    assert json.loads(out)["paths"] == [str(root / "arm_002_lift")]


def test_an_update_takes_the_sources_of_before(root: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "set"
    run(capsys, root / "arm_000_lift", "--out", target)
    code, out, _ = run(capsys, "--update", target)
    assert code == 0 and "1 shard unchanged" in out
    code, out, _ = run(capsys, root, "--update", target)
    assert code == 0 and "2 episodes" in out


def test_what_a_lock_decides_cannot_be_changed_by_an_option(
    root: Path, tmp_path: Path, capsys
) -> None:
    run(capsys, root, "--out", tmp_path / "set")
    code, _, err = run(capsys, "--update", tmp_path / "set", "--rate", "10", "--task", "lift")
    assert code == 2 and "--task, --rate: the dataset's lock says how it is made" in err


def test_a_lock_makes_the_same_dataset_again(root: Path, tmp_path: Path, capsys) -> None:
    run(capsys, root, "--out", tmp_path / "one")
    lock = tmp_path / "one" / "export.lock.json"
    code, _, _ = run(capsys, "--lock", lock, "--out", tmp_path / "two", "--workers", "2")
    assert code == 0
    assert lock.read_bytes() == (tmp_path / "two" / "export.lock.json").read_bytes()
    code, out, _ = run(capsys, "diff", tmp_path / "one", tmp_path / "two")
    assert code == 0 and "the same episodes" in out


def test_a_difference_is_told(root: Path, tmp_path: Path, capsys) -> None:
    run(capsys, root, "--out", tmp_path / "one")
    run(capsys, root, "--out", tmp_path / "two", "--outcome", "any", "--task", "lift")
    code, out, _ = run(capsys, "diff", tmp_path / "one", tmp_path / "two")
    assert code == 1
    assert f"added: {root / 'arm_002_lift'}" in out and "removed: " in out
    code, out, _ = run(capsys, "diff", tmp_path / "one", tmp_path / "two", "--json")
    assert json.loads(out)["added"] == [str(root / "arm_002_lift")]


def test_a_profile_is_written_edited_and_used(root: Path, tmp_path: Path, capsys) -> None:
    profile = tmp_path / "mine.yaml"
    code, out, _ = run(capsys, root, "--write-profile", profile)
    assert code == 0 and "6 features" in out
    plain = yaml.safe_load(profile.read_text())
    plain["features"] = {"observation.state": plain["features"]["observation.state"]}
    profile.write_text(yaml.safe_dump({**plain, "rate_hz": 10}))
    run(capsys, root, "--profile", profile, "--out", tmp_path / "set")
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert info["fps"] == 10 and "action" not in info["features"]


def test_verify_finds_what_was_changed(root: Path, tmp_path: Path, capsys) -> None:
    run(capsys, root, "--out", tmp_path / "set")
    assert run(capsys, "verify", tmp_path / "set") == (0, f"{tmp_path / 'set'}: sound\n", "")
    data = next((tmp_path / "set" / "data").rglob("*.parquet"))
    data.write_bytes(data.read_bytes()[:-100])
    code, out, _ = run(capsys, "verify", tmp_path / "set")
    assert code == 1 and "bytes instead of" in out
    code, out, _ = run(capsys, "verify", tmp_path / "set", "--json")
    assert code == 1 and all("where" in json.loads(line) for line in out.splitlines())


def test_pseudonyms_are_kept_in_their_file(root: Path, tmp_path: Path, capsys) -> None:
    names = tmp_path / "who.json"
    run(capsys, root, "--out", tmp_path / "set", "--pseudonyms", names)
    assert json.loads(names.read_text()) == {"ann": "operator_1", "zoe": "operator_2"}
    inside = b"".join(p.read_bytes() for p in (tmp_path / "set").rglob("*") if p.is_file())
    assert b"zoe" not in inside.replace(str(root).encode(), b"")


def test_names_and_pseudonyms_are_never_mixed(root: Path, tmp_path: Path, capsys) -> None:
    names = tmp_path / "who.json"
    run(capsys, root / "arm_000_lift", "--out", tmp_path / "hidden", "--pseudonyms", names)
    code, _, err = run(capsys, root, "--update", tmp_path / "hidden")
    assert code == 2 and "give their file with --pseudonyms" in err
    run(capsys, root / "arm_000_lift", "--out", tmp_path / "open")
    code, _, err = run(capsys, root, "--update", tmp_path / "open", "--pseudonyms", names)
    assert code == 2 and "made without pseudonyms" in err
    code, _, err = run(
        capsys, root, "--out", tmp_path / "x", "--pseudonyms", tmp_path / "no" / "x.json"
    )
    assert code == 2 and "cannot be written" in err and not (tmp_path / "x").exists()
    code, out, _ = run(capsys, root, "--update", tmp_path / "hidden", "--pseudonyms", names)
    assert code == 0 and f"added: {root / 'arm_001_fold'}" in out


def test_operators_can_be_left_out_and_the_licence_is_in_the_card(
    root: Path, tmp_path: Path, capsys
) -> None:
    run(
        capsys,
        root,
        "--out",
        tmp_path / "set",
        "--no-operators",
        "--license",
        "MIT",
        "--title",
        "Lifts",
    )
    inside = b"".join(p.read_bytes() for p in (tmp_path / "set").rglob("*") if p.is_file())
    assert b'"ann"' not in inside and b"zoe" not in inside
    card = (tmp_path / "set" / "README.md").read_text()
    assert "license: mit" in card and "# Lifts" in card


@pytest.mark.parametrize(
    "words, why",
    [
        ((), "--out is missing"),
        (("--out", "{root}"), "exists; bring it up to date with --update"),
        (("--update", "{tmp}/none"), "does not exist: it is not a dataset of this exporter"),
        (("--format", "lerobt", "--out", "{tmp}/x"), "did you mean 'lerobot'"),
        (("--split", "val=2", "--out", "{tmp}/x"), "is no split"),
        (("--set", "x", "--out", "{tmp}/x"), "write it as name=value"),
        (
            ("--action", "delta", "--profile", "{tmp}/p.yaml", "--out", "{tmp}/x"),
            "--action goes with",
        ),
        (("--out", "{tmp}/file/x"), "cannot be written"),
        (("--set", "foo=1", "--out", "{tmp}/x"), "lerobot has no option 'foo'"),
        (("--on", "sky", "--out", "{tmp}/x"), "it is 'ray', or ray://host:port"),
        (("--task", "fold", "--operator", "ann", "--out", "{tmp}/x"), "no episode is selected"),
        (("--profile", "{tmp}/none.yaml", "--out", "{tmp}/x"), "cannot be read"),
        (("--trim", "place", "--out", "{tmp}/x"), "it has no annotation place to trim to"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_fix(
    root: Path, tmp_path: Path, capsys, words: tuple[str, ...], why: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "p.yaml").write_text("features: {a: {camera: camera}}")
    given = [word.format(root=root, tmp=tmp_path) for word in words]
    code, _, err = run(capsys, root, *given)
    assert code == 2 and why in err, err
    assert not (tmp_path / "x").exists()
