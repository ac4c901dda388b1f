"""What light robots record, and the counting of it: every kind of loss is found and named.

Holds also: recorder.py, take.py, template.py.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("cv2")
pytest.importorskip("cryptography")

from support.light_floor import (
    NOW_NS,
    TASKS,
    holdings_of,
    journal,
    light_recorder,
    replay,
    store_of,
)

from robot_recorder.bags.files import replace_text
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.receipts import Signer, load_signer
from robot_recorder.floor.sim.account import (
    CentreHolding,
    FloorAccount,
    RobotTruth,
    count_floor,
    read_truth,
)
from robot_recorder.floor.sim.recorder import SimJournal, label_ids
from robot_recorder.floor.sim.take import TakeReplay, draw_facts
from robot_recorder.floor.sim.template import draw_template
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

# -- takes


def test_a_take_is_an_episode_that_passes_its_checks(tmp_path: Path) -> None:
    facts = draw_facts(random.Random(3), "robot_001", ("ann",), TASKS, NOW_NS)
    path = replay().record(store_of(tmp_path), facts)
    episode = Episode.open(path)
    assert episode.id == path.name and path.name.startswith("robot_001_20270115T080000_000")
    assert episode.labels.operator_name == "ann"
    assert episode.labels.outcome is facts.outcome
    assert episode.quality.verdict is facts.verdict
    assert episode.start_ns == NOW_NS
    first = next(episode.messages())
    assert NOW_NS <= first.receive_ns < NOW_NS + 10**9


def test_two_takes_share_no_data_file(tmp_path: Path) -> None:
    recorder = light_recorder(tmp_path)
    for _ in range(6):
        recorder.turn()
    truth = read_truth("hall", "robot_001", tmp_path / "robot_001", journal(tmp_path).path)
    assert len(truth.bags) == 6
    assert len({manifest.files[0].sha256 for manifest in truth.bags.values()}) == 6


def test_a_floor_has_failures_and_all_verdicts() -> None:
    rng = random.Random(1)
    drawn = [draw_facts(rng, "robot_001", ("ann", "bob"), TASKS, n) for n in range(600)]
    failed = [facts for facts in drawn if facts.outcome is Outcome.FAILURE]
    assert 30 < len(failed) < 100 and all(facts.cause for facts in failed)
    assert {facts.verdict for facts in drawn} == {Verdict.ACCEPT, Verdict.REVIEW, Verdict.REJECT}
    assert {facts.operator for facts in drawn} == {"ann", "bob"}


def test_a_template_is_as_large_as_asked_for_and_its_pictures_open(tmp_path: Path) -> None:
    path = draw_template(tmp_path / "template", seconds=1.0, least_bytes=3_000_000)
    size = sum(file.stat().st_size for file in path.iterdir())
    assert 3_000_000 <= size < 3_500_000
    assert TakeReplay(path).duration_ns == pytest.approx(0.98e9, abs=3e7)


# -- the journal and what a crash leaves


def test_a_robot_that_was_killed_notes_what_its_journal_lacks(tmp_path: Path) -> None:
    recorder = light_recorder(tmp_path)
    for _ in range(4):
        recorder.turn()
    lines = journal(tmp_path).path.read_text().splitlines(keepends=True)
    last = next(i for i in reversed(range(len(lines))) if '"files"' in lines[i])
    replace_text(journal(tmp_path).path, "".join(lines[:last]) + lines[last][:40])
    light_recorder(tmp_path)
    truth = read_truth("hall", "robot_001", tmp_path / "robot_001", journal(tmp_path).path)
    assert len(truth.bags) == 4


def test_a_line_that_a_crash_cut_short_is_left_out_and_costs_no_other(tmp_path: Path) -> None:
    made = SimJournal(tmp_path / "j.jsonl")
    made.add(id="a", files=[])
    with open(made.path, "a") as file:
        file.write('{"id": "b", "fi')
    assert [line["id"] for line in made.lines()] == ["a"]
    made.add(id="c", files=[])
    assert [line["id"] for line in made.lines()] == ["a", "c"]


def test_a_partial_take_is_recovered_at_the_next_start(tmp_path: Path) -> None:
    recorder = light_recorder(tmp_path)
    recorder.turn()
    (path,) = store_of(tmp_path).paths()
    partial = path.with_name("robot_001_20270116T080000_000_lift_box.partial")
    partial.mkdir()
    shutil.copy(path / f"{path.name}_0.mcap", partial / f"{partial.name}_0.mcap")
    light_recorder(tmp_path)
    truth = read_truth("hall", "robot_001", tmp_path / "robot_001", journal(tmp_path).path)
    assert partial.stem in truth.bags and truth.on_disk.keys() == truth.bags.keys()


def test_every_label_given_is_in_the_journal(tmp_path: Path) -> None:
    recorder = light_recorder(tmp_path, seed=2)
    for _ in range(40):
        recorder.turn()
    truth = read_truth("hall", "robot_001", tmp_path / "robot_001", journal(tmp_path).path)
    relabelled = [line for line in journal(tmp_path).lines() if line.get("relabelled")]
    assert relabelled and truth.trashed
    for id, path in truth.on_disk.items():
        assert set(label_ids(path)) == truth.labels[id]


# -- the account


@pytest.fixture
def truth(tmp_path: Path) -> RobotTruth:
    recorder = light_recorder(tmp_path, seed=5)
    for _ in range(5):
        recorder.turn()
    return read_truth("hall", "robot_001", tmp_path / "robot_001", journal(tmp_path).path)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return load_signer(tmp_path / "receipts.key")


def counted(truth: RobotTruth, held: dict[str, CentreHolding], signer: Signer) -> FloorAccount:
    return count_floor([truth], held.values(), (signer.public,))


def test_a_centre_that_has_everything_is_in_order(truth: RobotTruth, signer: Signer) -> None:
    account = counted(truth, holdings_of(truth, signer), signer)
    assert account.wrong == 0, account.complaints
    assert account.recorded == account.stored == account.acknowledged == account.at_centre == 5
    assert account.labels == sum(map(len, truth.labels.values())) >= 10


def test_what_is_freed_with_a_receipt_is_in_order_too(truth: RobotTruth, signer: Signer) -> None:
    held = holdings_of(truth, signer)
    for path in truth.on_disk.values():
        shutil.rmtree(path)
    freed = replace(truth, on_disk={})
    account = counted(freed, held, signer)
    assert account.wrong == 0, account.complaints
    assert account.freed == 5 - len(truth.trashed)


def test_an_episode_that_only_the_robot_has_waits_and_is_not_lost(
    truth: RobotTruth, signer: Signer
) -> None:
    account = counted(truth, {}, signer)
    assert account.waiting == len(truth.on_disk) and account.lost == 0
    assert account.labels_lost == account.labels


def other_bytes(held: CentreHolding) -> CentreHolding:
    ((name, (size, _)),) = held.objects.items()
    return replace(held, objects={name: (size, "0" * 64)})


def forged(held: CentreHolding) -> CentreHolding:
    assert held.receipt is not None
    return replace(held, receipt={**held.receipt, "checked_ns": 1})


WRONGS: list[tuple[str, Callable[[CentreHolding], CentreHolding]]] = [
    ("lost", other_bytes),
    ("lost", lambda held: replace(held, objects={})),
    ("freed_without_receipt", lambda held: replace(held, receipt=None)),
    ("freed_without_receipt", forged),
    ("doubled", lambda held: replace(held, listed=2)),
    ("strange_objects", lambda held: replace(held, objects={**held.objects, "part": (1, "1")})),
    ("labels_lost", lambda held: replace(held, label_ids=frozenset())),
    ("labels_differ", lambda held: replace(held, stored_labels=frozenset())),
    ("labels_differ", lambda held: replace(held, listed_labels=("lift_box", "unlabelled", ""))),
]


@pytest.mark.parametrize("name, spoil", WRONGS)
def test_what_is_wrong_at_the_centre_is_counted_under_its_name(
    truth: RobotTruth, signer: Signer, name: str,
    spoil: Callable[[CentreHolding], CentreHolding],
) -> None:  # fmt: skip
    held, id = holdings_of(truth, signer), sorted(truth.on_disk)[0]
    shutil.rmtree(truth.on_disk.pop(id))
    held[id] = spoil(held[id])
    account = counted(truth, held, signer)
    assert getattr(account, name) >= 1, account
    assert any(name in sentence and id in sentence for sentence in account.complaints)


def test_an_episode_that_nobody_recorded_is_doubled(truth: RobotTruth, signer: Signer) -> None:
    held = holdings_of(truth, signer)
    one = next(iter(held.values()))
    held["twice"] = replace(one, episode="robot_001_20270116T080000_000")
    assert counted(truth, held, signer).doubled >= 1


def test_a_label_of_the_centre_that_did_not_reach_the_robot_is_a_difference(
    truth: RobotTruth, signer: Signer
) -> None:
    held, id = holdings_of(truth, signer), sorted(truth.on_disk)[0]
    more = held[id].label_ids | {"f" * 32}
    held[id] = replace(held[id], label_ids=more, stored_labels=more)
    account = counted(truth, held, signer)
    assert account.labels_differ == 1 and "on robot_001" in account.complaints[0]


def test_a_copy_that_changed_on_the_robot_is_damaged(truth: RobotTruth, signer: Signer) -> None:
    held, path = holdings_of(truth, signer), next(iter(truth.on_disk.values()))
    with open(path / f"{path.name}_0.mcap", "ab") as file:
        file.write(b"x")
    assert counted(truth, held, signer).damaged == 1
