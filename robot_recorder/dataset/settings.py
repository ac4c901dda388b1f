"""How a dataset is made, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from robot_recorder.dataset.align_source import AlignOptions
from robot_recorder.dataset.card.about import CardOptions
from robot_recorder.dataset.export_profile import ActionKind
from robot_recorder.dataset.lock import DatasetLock
from robot_recorder.dataset.trimming import Held, Trim
from robot_recorder.dataset.video import VideoMode


class OperatorNames(str, Enum):
    """What becomes of operators' names in a dataset."""

    KEPT = "kept"
    PSEUDONYMS = "pseudonyms"
    LEFT_OUT = "left_out"


@dataclass(frozen=True)
class ExportSettings:
    """How a dataset is made, apart from its sources.

    Attributes:
        format: name of the format.
        align: how sources are aligned.
        action: what the action of a frame is, unless the profile says.
        held: what becomes of frames with held or missing streams.
        trim: what is cut off at the ends of episodes.
        video: how pictures are stored.
        shard_bytes: of sources in a shard.
        shares: of the splits val and test, 0 to 1.
        seed: of the split.
        profile: text of the export profile; empty: the default for the robot.
        extra: options of the format.
        card: what the card says besides.
        operators: what becomes of their names.
    """

    format: str = "lerobot"
    align: AlignOptions = field(default_factory=AlignOptions)
    action: ActionKind = ActionKind.COMMAND
    held: Held = Held.KEEP
    trim: Trim = field(default_factory=Trim)
    video: VideoMode = VideoMode.AUTO
    shard_bytes: int = 100_000_000
    shares: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    profile: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    card: CardOptions = field(default_factory=CardOptions)
    operators: OperatorNames = OperatorNames.KEPT

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dict(json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ExportSettings:
        """Read what ``to_dict`` returned."""
        trim = Trim(tuple(plain["trim"]["annotations"]), plain["trim"]["idle"])
        return cls(**{
            **plain, "align": AlignOptions(**plain["align"]), "trim": trim,
            "action": ActionKind(plain["action"]), "held": Held(plain["held"]),
            "video": VideoMode(plain["video"]), "card": CardOptions(**plain["card"]), "operators": OperatorNames(plain["operators"]),
        })  # fmt: skip


@dataclass(frozen=True)
class ExportReport:
    """What became of an export.

    Attributes:
        target: folder of the dataset.
        lock: its lock.
        episodes, frames: numbers of the dataset's.
        seconds: length of all frames.
        reused: number of shards that were taken over from the dataset before.
        started_anew: whether what an earlier, different export had left was deleted.
    """

    target: Path
    lock: DatasetLock
    episodes: int
    frames: int
    seconds: float
    reused: int = 0
    started_anew: bool = False
