"""Episodes from site to site, over a bucket or a disk in a bag: push on one side, pull on the other.

What arrives is verified before it appears: the manifest's signature, the SHA-256 of every file, the
provenance, and the structure of the bag. Both sides may be interrupted and called again: what was
done is not done twice. Copies that both sites have meet by their labels alone, as the union of both
logs; other facts of an episode, such as its quality report, stay as each site has them.

Data files are never changed. What becomes of names is said in ``exchange_names``. The licence and the
provenance, a chain of signed hops, are in the custom_data of what arrives (``licence``, ``provenance``).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import make_folder, replace_text, share
from robot_recorder.bags.metadata import METADATA_FILE, metadata_text, parse_metadata, read_metadata
from robot_recorder.catalogue.query import Filter
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.locks import HeldError, Lock
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.exchange.manifest import (
    LICENCE,
    PROVENANCE,
    ExchangedEpisode,
    ExchangeManifest,
    chain_problem,
    digest,
    dump_chain,
    licence_problem,
    load_chain,
    with_hop,
)
from robot_recorder.floor.exchange.names import NameRules, names_in_data
from robot_recorder.floor.exchange.shelf import Shelf
from robot_recorder.floor.manifest import Manifest, data_files, read_manifest
from robot_recorder.floor.receipts import Signer
from robot_recorder.floor.storage.directory import UPLOADS
from robot_recorder.model.errors import BagError, ConfigError, DiskError
from robot_recorder.model.ids import PARTIAL, checked_id
from robot_recorder.model.labels import LabelEvent, LabelKind, event_id, load_plain
from robot_recorder.model.text import TEXT_LIMITS, text_problem

STAGING = ".exchange"  # folder in a root for what is arriving
_LOCK = ".exchange"  # of one push or pull at a time per root

Told = Callable[[str, str, int, int], None]  # what is done, a detail, bytes done, of how many


def _untold(what: str, detail: str, done: int, total: int) -> None:
    """Show nothing."""


# -- push


@dataclass(frozen=True)
class PushOptions:
    """How episodes are given away.

    Attributes:
        licence: under which; empty: the one in each episode's custom_data.
        names: what becomes of names and notes.
        names_in_bags: send an episode under pseudonyms although its data files hold names.
        anew: send all objects again, because the other side found one missing or damaged.
    """

    licence: str = ""
    names: NameRules = field(default_factory=NameRules)
    names_in_bags: bool = False
    anew: bool = False


@dataclass
class PushReport:
    """What a push did.

    Attributes:
        sent: ids of episodes that are new there, or whose metadata has changed.
        unchanged: number of those that were there already.
        refused: why an episode was not sent, by id.
        bytes: of data files that were not there before.
    """

    sent: list[str] = field(default_factory=list)
    unchanged: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


def push(
    paths: Iterable[Path],
    shelf: Shelf,
    signer: Signer,
    options: PushOptions = PushOptions(),
    told: Told = _untold,
    now_ns: Callable[[], int] = time.time_ns,
) -> PushReport:
    """Lay down finished episodes for another site; what is there already is not sent again.

    Args:
        paths: of the episodes.
        shelf: where to.
        signer: with this site's key.
        options: how.
        told: of progress.
        now_ns: clock.

    Raises:
        ConfigError: what lies there is not of this site's key, or is damaged.
        StorageError: the storage refuses; nothing of this push is announced there, push again.
    """
    before = shelf.manifests()
    for manifest, _ in before:
        if manifest.public != signer.public:
            raise ConfigError(
                f"{shelf.sender} has pushed there with another key: use that key, or another name"
            )
    known = {sent.id: sent for manifest, _ in before for sent in manifest.episodes}
    report, new = PushReport(), list[ExchangedEpisode]()
    paths = list(paths)
    for number, path in enumerate(paths):
        told("pushing", path.name, number, len(paths))
        try:
            sent = _pushed(path, shelf, signer, options, known.get(path.name), report, now_ns)
        except DiskError:
            raise
        except BagError as error:
            report.refused[path.name] = str(error)
            continue
        if sent is None:
            report.unchanged += 1
        else:
            new.append(sent)
    if new:
        manifest = ExchangeManifest(
            shelf.sender, shelf.receiver, len(before) + 1, digest(before[-1][1]) if before else "",
            now_ns(), signer.public, tuple(new),
        )  # fmt: skip
        shelf.put_manifest(manifest.number, manifest.to_bytes(signer))
        report.sent = [sent.id for sent in new]
    told("pushing", "", len(paths), len(paths))
    return report


def _pushed(
    path: Path, shelf: Shelf, signer: Signer, options: PushOptions,
    known: ExchangedEpisode | None, report: PushReport, now_ns: Callable[[], int],
) -> ExchangedEpisode | None:  # fmt: skip
    """Lay down one episode; return what to announce, None if nothing has changed.

    Raises:
        BagError: it is not sent; says why.
    """
    id = checked_id(path.name)
    episode = Episode(path, read_metadata(path))
    licence, chain = (
        _licence(episode, options.licence),
        load_chain(episode.facts.get(PROVENANCE, "")),
    )
    same = known is not None and _same_sizes(path, known.data)
    data = known.data if known is not None and same else read_manifest(path)
    if known is not None and data != known.data:
        raise BagError(
            "other data was pushed under this name before, or it was compressed since: give it another name"
        )
    if known is not None and known.pseudonyms != options.names.mark:
        raise BagError(
            "it was pushed with other rules for names and notes before, and the same label would "
            "count as two there: use the same --pseudonyms and --no-notes as then"
        )
    inside = _names_inside(episode, options, known)
    facts = {**options.names.facts(episode.facts), LICENCE: licence}
    facts.pop(PROVENANCE, None)
    text = metadata_text({**episode.metadata, "custom_data": facts}).encode()
    if known is not None and known.metadata == digest(text) and not options.anew:
        return None
    report.bytes += shelf.put_data(path, id, data, options.anew)
    shelf.put_metadata(id, text, options.anew)
    if known is not None and known.metadata == digest(text):
        return None  # sent again, but nothing new
    if known is not None and known.chain[:-1] == chain:
        chain = known.chain
    else:
        chain = with_hop(chain, signer, id, shelf.sender, data.sha256, now_ns())
    mark = options.names.mark
    return ExchangedEpisode(id, data, digest(text), licence, mark, inside, chain)


def _licence(episode: Episode, given: str) -> str:
    """Return the licence under which an episode is given away.

    Raises:
        BagError: it has none, or one of another site that is not to be replaced.
    """
    own = episode.facts.get(LICENCE, "")
    # Of a part that was cut out of one of another site, ``cut_from`` tells its provenance.
    came = episode.facts.get(PROVENANCE) or f'"{PROVENANCE}"' in episode.facts.get("cut_from", "")
    if given and own and given != own and came:
        raise BagError(f"it came from another site under the licence '{own}', which stays")
    licence = given or own
    if not licence:
        raise BagError("it has no licence: give one with --licence, such as CC-BY-4.0")
    if problem := licence_problem(licence):
        raise BagError(problem)
    return licence


def _same_sizes(path: Path, data: Manifest) -> bool:
    """Tell whether the data files on the disk have the names and sizes of a manifest."""
    try:
        found = [(file.name, file.stat().st_size) for file in data_files(path)]
    except OSError as error:
        raise BagError(f"{path} cannot be read: {error.strerror or error}") from error
    return sorted(found) == [(file.name, file.size) for file in data.files]


def _names_inside(episode: Episode, options: PushOptions, known: ExchangedEpisode | None) -> bool:
    """Tell whether an episode's data files hold names.

    Raises:
        BagError: they do, and pseudonyms are wanted.
    """
    if not options.names.secret:
        return False  # nobody has looked, and nobody was promised pseudonyms
    if known is not None and not known.names_in_data:
        return False  # it was looked at before it was pushed first
    where = names_in_data(episode)
    if where and not options.names_in_bags:
        raise BagError(
            f"its data holds operators' names, in {where}, and data files are never changed: send it "
            "all the same with --names-in-bags, or a dataset (robot-recorder export --pseudonyms)"
        )
    return bool(where)


# -- pull


@dataclass(frozen=True)
class PullOptions:
    """What is taken, and how it is checked.

    Attributes:
        filter: which episodes.
        known: public keys of sites, base64, by name; the sender's is among them.
        structure: returns what is wrong with a bag; nothing: it is sound.
        names: with this site's rules, its own events are known again in what comes back with
            pseudonyms, or without notes.
    """

    filter: Filter
    known: Mapping[str, str]
    structure: Callable[[Episode], list[str]]
    names: NameRules = field(default_factory=NameRules)


@dataclass
class PullReport:
    """What a pull did.

    Attributes:
        added: ids of the episodes that were not here.
        merged: ids of those that were here and learned of labels.
        unchanged: number of those of which everything was here.
        left_out: number of those that the filter leaves out.
        refused: why an episode was not taken, by id.
    """

    added: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    unchanged: int = 0
    left_out: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def pull(
    store: EpisodeStore, shelf: Shelf, options: PullOptions, told: Told = _untold
) -> PullReport:
    """Take what another site has laid down for this one; what is here already is not taken again.

    Args:
        store: where to.
        shelf: where from.
        options: what, and whom to believe.
        told: of progress.

    Raises:
        ConfigError: the manifests are missing, damaged or forged; nothing has changed.
        DiskError, StorageError: it was interrupted; call it again.
        BagError: another push or pull is going on in this root.
    """
    if store.root.parent.name == "bags" and (store.root.parent.parent / UPLOADS).exists():
        raise ConfigError(
            f"{store.root} is in the storage of a centre, which alone writes there: pull into another "
            "folder, and let an agent send it to the centre"
        )
    manifests = [manifest for manifest, _ in shelf.manifests()]
    if not manifests:
        raise ConfigError(f"{shelf.sender} has laid down nothing for {shelf.receiver} there")
    for manifest in manifests:
        if manifest.public != options.known.get(shelf.sender):
            raise ConfigError(
                f"manifest {manifest.number} is not signed with the key of {shelf.sender}: it was forged"
            )
    latest = {sent.id: sent for manifest in manifests for sent in manifest.episodes}
    report = PullReport()
    try:
        store.make_root()
        with Lock(store.root, _LOCK, wait_s=0):
            for number, (id, sent) in enumerate(latest.items()):
                told("pulling", id, number, len(latest))
                try:
                    _take(store, shelf, sent, options, report)
                except DiskError:
                    raise
                except BagError as error:
                    report.refused[id] = str(error)
            _tidy(store.root / STAGING, shelf.sender)
    except HeldError as error:
        raise BagError(f"another exchange is going on in {store.root}: {error}") from error
    except OSError as error:
        raise DiskError(f"{store.root} cannot be written: {error.strerror or error}") from error
    told("pulling", "", len(latest), len(latest))
    return report


def _tidy(staging: Path, sender: str) -> None:
    """Delete what tries that were killed have left, after all has been taken."""
    shutil.rmtree(staging / sender, ignore_errors=True)
    with suppress(OSError):  # another sender's is still arriving, or there is none
        staging.rmdir()


def _take(
    store: EpisodeStore, shelf: Shelf, sent: ExchangedEpisode, options: PullOptions,
    report: PullReport,
) -> None:  # fmt: skip
    """Take one episode.

    Raises:
        BagError: it is refused; nothing of it is left.
    """
    if problem := chain_problem(sent.id, sent.data.sha256, sent.chain, options.known):
        raise BagError(problem)
    if sent.chain[-1].site != shelf.sender:
        raise BagError(f"its last hop is of {sent.chain[-1].site}, not of {shelf.sender}")
    text = shelf.get_metadata(sent).decode("utf-8", "replace")
    path = store.root / sent.id
    metadata = _checked(parse_metadata(text, path), sent)
    episode = Episode(path, metadata)
    log = _checked_log(episode)
    if not _matches(episode, options.filter):
        report.left_out += 1
        return
    if store.discarded(sent.id) is not None:
        raise BagError("it is in the trash here: restore or delete it first")
    if (store.root / f"{sent.id}{PARTIAL}").exists():
        raise BagError("an unfinished episode of this name is here")
    if not os.path.lexists(path):
        _arrive(store, shelf, sent, metadata, options)
        report.added.append(sent.id)
        return
    here = Episode(path, read_metadata(path))
    _refuse_other(here, sent)
    if new := _unknown(here, log, options.names):
        store.merge_labels(path, new)
        report.merged.append(sent.id)
    else:
        report.unchanged += 1


def _checked(metadata: dict[str, Any], sent: ExchangedEpisode) -> dict[str, Any]:
    """Check that metadata is of an episode, and return it with licence and provenance.

    Raises:
        BagError: it is of another one.
    """
    facts = Episode(Path(sent.id), metadata).facts
    if facts.get("episode_id", sent.id) != sent.id:
        raise BagError(f"its metadata is of another episode, {facts['episode_id'][:60]!r}")
    names = {file.name for file in sent.data.files}
    for name in metadata["relative_file_paths"]:
        if name not in names:
            raise BagError(f"its metadata names the file {str(name)[:60]!r}, which was not sent")
    if facts.get(LICENCE) != sent.licence:
        raise BagError("its metadata has another licence than the manifest")
    facts = {**facts, LICENCE: sent.licence, PROVENANCE: dump_chain(sent.chain)}
    return {**metadata, "custom_data": facts}


def _checked_log(episode: Episode) -> list[dict[str, Any]]:
    """Return the label events of an episode from outside, in plain form.

    Raises:
        BagError: one is invalid.
    """
    try:
        log = load_plain(episode.facts.get("labels", ""))
        for plain in log:
            for key in TEXT_LIMITS.keys() & plain.keys():
                if problem := text_problem(key, str(plain[key])):
                    raise ValueError(problem)
            if str(plain["kind"]).upper() in LabelKind.__members__:  # else of a newer version
                LabelEvent.from_dict(plain)
    except (ValueError, TypeError, KeyError) as error:
        raise BagError(f"its labels are refused: {error}") from error
    return log


def _matches(episode: Episode, filter: Filter) -> bool:
    """Tell whether a filter lets an episode through, as ``Query`` does.

    Raises:
        BagError: its metadata has impossible values.
    """
    labels, start_ns = episode.labels, max(episode.start_ns, 0)
    found = {
        "task": labels.task, "robot": episode.facts.get("robot", ""),
        "operator": labels.operator_name, "outcome": labels.outcome,
    }  # fmt: skip
    for name, value in found.items():
        wanted = getattr(filter, name)
        if wanted is not None and value != wanted:
            return False
    if filter.verdict is not None and filter.verdict.text != episode.facts.get(
        "verdict", "unknown"
    ):
        return False
    duration_ms = max(round(1000 * episode.duration_s), 0)
    return (
        (filter.since_ns is None or start_ns >= filter.since_ns)
        and (filter.until_ns is None or start_ns < filter.until_ns)
        and (filter.longer_ms is None or duration_ms >= filter.longer_ms)
        and (filter.shorter_ms is None or duration_ms < filter.shorter_ms)
    )


def _arrive(
    store: EpisodeStore, shelf: Shelf, sent: ExchangedEpisode, metadata: dict[str, Any],
    options: PullOptions,
) -> None:  # fmt: skip
    """Fetch an episode, check it, and let it appear.

    Raises:
        BagError: it is refused; nothing of it is left.
    """
    waiting = store.root / STAGING / shelf.sender / sent.data.sha256[:16]
    folder = waiting / sent.id
    try:
        make_folder(folder, store.file_mode)
        for path in folder.iterdir():  # left by a try that knew of other files
            if path.name not in {file.name for file in sent.data.files}:
                path.unlink()
        shelf.get_data(sent, folder)
        replace_text(folder / METADATA_FILE, metadata_text(metadata))
        if problems := options.structure(Episode.open(folder)):
            raise BagError("its bag is damaged: " + "; ".join(problems[:3]))
        share(folder, store.file_mode)
        store.adopt(folder)
    except DiskError:
        raise
    except BagError:
        shutil.rmtree(waiting, ignore_errors=True)
        raise
    shutil.rmtree(waiting, ignore_errors=True)


def _refuse_other(here: Episode, sent: ExchangedEpisode) -> None:
    """Refuse an episode if other data is here under its name.

    Raises:
        BagError: it is.
    """
    chain = load_chain(here.facts.get(PROVENANCE, ""))
    if any(hop.sha256 == sent.data.sha256 for hop in chain):
        return  # it came from somewhere, and was hashed on its arrival
    if not _same_sizes(here.path, sent.data) or read_manifest(here.path) != sent.data:
        raise BagError(
            "another episode of this name is here, with other data: pull into a folder of its own"
        )


def _unknown(here: Episode, log: list[dict[str, Any]], names: NameRules) -> list[dict[str, Any]]:
    """Return the label events that an episode lacks, without its own under pseudonyms."""
    try:
        own = load_plain(here.facts.get("labels", ""))
    except (ValueError, TypeError) as error:
        raise BagError(f"the labels of {here.path} cannot be read: {error}") from error
    known = {event_id(plain) for plain in own}
    known |= {event_id(names.event(plain)) for plain in own} if names.changes else set()
    return [plain for plain in log if event_id(plain) not in known]
