"""Two sites that exchange episodes, without real bags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from robot_recorder.catalogue.query import Filter
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.exchange.exchange import (
    PullOptions,
    PullReport,
    PushOptions,
    PushReport,
    pull,
    push,
)
from robot_recorder.floor.exchange.names import NameRules
from robot_recorder.floor.exchange.shelf import Shelf
from robot_recorder.floor.receipts import Signer, load_signer
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.plain_data import load_json

_ANY = Filter()


def sound(episode: Episode) -> list[str]:
    """Return no problems: the bags of ``make_episode`` have no messages."""
    return []


@dataclass
class Site:
    """A site with its key, its root and the disk between the sites.

    Attributes:
        name: of the site.
        home: folder of the site.
        disk: where packages are laid down.
        names: rules of the site.
    """

    name: str
    home: Path
    disk: Path
    names: NameRules = field(default_factory=NameRules)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.store = EpisodeStore(self.home / "root")
        self.signer: Signer = load_signer(self.home / "site.key")

    def shelf(self, sender: str, receiver: str, piece_bytes: int = 300) -> Shelf:
        return Shelf(open_storage(str(self.disk)), sender, receiver, piece_bytes)

    def push(self, other: str, licence: str = "CC0-1.0", **options: bool) -> PushReport:
        asked = PushOptions(licence, self.names, **options)
        return push(self.store.paths(), self.shelf(self.name, other), self.signer, asked)

    def pull(
        self,
        other: Site,
        filter: Filter = _ANY,
        structure: Callable[[Episode], list[str]] = sound,
    ) -> PullReport:
        known = {other.name: other.signer.public}
        options = PullOptions(filter, known, structure, self.names)
        return pull(self.store, self.shelf(other.name, self.name), options)

    def label(self, id: str, stamp_ns: int, outcome: Outcome, by: str, cause: str = "") -> None:
        event = LabelEvent(stamp_ns, id, LabelKind.OUTCOME, by, outcome=outcome, cause=cause)
        self.store.append_label(event)

    def episode(self, id: str) -> Episode:
        return Episode.open(self.store.find(id))

    def chain(self, id: str) -> list[str]:
        return [hop["site"] for hop in load_json(self.episode(id).facts["provenance"])]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder, without catalogues and locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".locks", ".catalogue"} & set(path.parts)
    }
