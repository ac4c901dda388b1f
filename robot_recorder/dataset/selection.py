"""Choose the episodes of a dataset, and say of every other one why it is left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from robot_recorder.catalogue.entry import Entry, read_entry
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

TRAIN, VAL, TEST = "train", "val", "test"


class Balance(str, Enum):
    """What is to occur equally often."""

    TASK = "task"
    OPERATOR = "operator"
    ROBOT = "robot"


@dataclass(frozen=True)
class Choice:
    """Which episodes are wanted.

    Attributes:
        outcomes, verdicts: allowed ones; None: all but failures, and all but rejected ones.
        task, robot, operator: equal to; None: any.
        since_ns, until_ns: started at or after, and before.
        annotations: it has one of these; empty: no condition.
        exclude: ids that are left out.
        limit: most episodes; None: all.
        balance: what is to occur equally often.
        seed: of all choices by chance.
    """

    outcomes: tuple[Outcome, ...] | None = None
    verdicts: tuple[Verdict, ...] | None = None
    task: str | None = None
    robot: str | None = None
    operator: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    annotations: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    balance: Balance | None = None
    seed: int = 0


@dataclass(frozen=True)
class Selected:
    """The result of a choice.

    Attributes:
        entries: chosen episodes, oldest first.
        left_out: reason by path of every other episode.
    """

    entries: tuple[Entry, ...]
    left_out: Mapping[str, str]


def read_entries(paths: Iterable[Path]) -> tuple[list[Entry], dict[str, str]]:
    """Return the entries of some bags, oldest first, and why others cannot be read, by path."""
    found, problems = {}, {}
    for path in paths:
        try:
            found[path] = read_entry(path)
        except BagError as error:
            problems[str(path)] = str(error)
    entries = sorted(found.values(), key=lambda e: (e.start_ns, e.name))
    return entries, problems


def choose(entries: Iterable[Entry], choice: Choice) -> Selected:
    """Choose episodes.

    Args:
        entries: all episodes, in any order.
        choice: which are wanted.
    """
    left_out: dict[str, str] = {}
    good: list[Entry] = []
    for entry in sorted(entries, key=lambda e: (e.start_ns, e.name)):
        why = _unwanted(entry, choice)
        if why:
            left_out[str(entry.path)] = why
        else:
            good.append(entry)
    kept = {id(e) for e in _limited(good, choice)}
    for entry in good:
        if id(entry) not in kept:
            what = f"balance of {choice.balance.value}s" if choice.balance else "limit"
            left_out[str(entry.path)] = f"beyond the {what}"
    return Selected(tuple(e for e in good if id(e) in kept), left_out)


def _unwanted(entry: Entry, choice: Choice) -> str:
    """Return why an episode is not wanted; empty: it is."""
    if entry.id in choice.exclude or entry.name in choice.exclude:
        return "excluded by name"
    for column in ("task", "robot", "operator"):
        wanted, own = getattr(choice, column), getattr(entry, column)
        if wanted is not None and own != wanted:
            return f"its {column} is {own or 'unknown'}"
    if choice.since_ns is not None and entry.start_ns < choice.since_ns:
        return "it is older"
    if choice.until_ns is not None and entry.start_ns >= choice.until_ns:
        return "it is newer"
    outcome, verdict = entry.outcome, entry.verdict
    if choice.outcomes is None and outcome is Outcome.FAILURE:
        return f"failure: {entry.cause}" if entry.cause else "failure"
    if choice.outcomes is not None and outcome not in choice.outcomes:
        return f"its outcome is {outcome.text}"
    if choice.verdicts is None and verdict is Verdict.REJECT:
        return f"rejected: {entry.reason}" if entry.reason else "rejected"
    if choice.verdicts is not None and verdict not in choice.verdicts:
        return f"its verdict is {verdict.text}"
    return _unannotated(entry, choice.annotations)


def _unannotated(entry: Entry, wanted: Sequence[str]) -> str:
    if not wanted:
        return ""
    try:
        names = {a.name for a in Episode.open(entry.path).labels.annotations}
    except BagError as error:
        return str(error)
    return "" if names & set(wanted) else f"it has no annotation {' or '.join(wanted)}"


def _limited(entries: list[Entry], choice: Choice) -> list[Entry]:
    """Return as many as allowed: by chance, in turn from each group, or the newest ones."""
    if choice.balance is None:
        return entries[-choice.limit :] if choice.limit is not None else entries
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(getattr(entry, choice.balance.value), []).append(entry)
    for group in groups.values():
        group.sort(key=lambda e: chance(choice.seed, e.id))
    most = min((len(g) for g in groups.values()), default=0)
    turns = [groups[name][at] for at in range(most) for name in sorted(groups)]
    return turns[: choice.limit]


def chance(seed: int, id: str) -> float:
    """Return a number from 0 to 1 that depends on the seed and an episode's id only."""
    hashed = hashlib.sha256(f"{seed} {id}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") / 2**64


def parse_split(text: str) -> dict[str, float]:
    """Return the share of each split, such as ``val=0.1,test=0.1``; the rest is ``train``.

    Raises:
        ConfigError: it is invalid.
    """
    shares: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            shares[name.strip()] = -1.0
        if name.strip() not in (VAL, TEST) or not 0 <= shares[name.strip()] < 1:
            raise ConfigError(f"'{text}' is no split; write it as val=0.1,test=0.1")
    if sum(shares.values()) >= 1:
        raise ConfigError(f"'{text}' leaves nothing to train on")
    return shares


def split(
    ids: Sequence[str], shares: Mapping[str, float], seed: int, known: Mapping[str, str] = {}
) -> dict[str, str]:
    """Return the split of every episode.

    An episode that has one keeps it, so that what was tested on is never trained on later.

    Args:
        ids: of all episodes.
        shares: of val and test, 0 to 1.
        seed: of the choice.
        known: splits of earlier episodes, by id.
    """
    found = {id: known[id] for id in ids if id in known}
    left = sorted((id for id in ids if id not in found), key=lambda id: chance(seed, id))
    for name, share in shares.items():
        wanted = round(share * len(ids)) - sum(1 for s in found.values() if s == name)
        for id in left[: max(wanted, 0)]:
            found[id] = name
        left = left[max(wanted, 0) :]
    return found | dict.fromkeys(left, TRAIN)


def read_list(path: Path) -> Iterator[Path]:
    """Yield the bags that a saved selection lists, one path a line; lines with # are comments.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    for line in lines:
        if line.strip() and not line.startswith("#"):
            found = Path(line.strip())
            yield found if found.is_absolute() else path.parent / found
