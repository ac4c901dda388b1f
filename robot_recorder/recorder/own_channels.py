"""What the recorder writes into every bag beside what it receives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_recorder.model.labels import LabelEvent
from robot_recorder.model.losses import Dropout
from robot_recorder.model.topics import Channel


@dataclass(frozen=True)
class OwnChannels:
    """Channels and encoders of the messages that the recorder itself writes into every bag.

    Attributes:
        labels: channel of the labels.
        frames: channel of the aligned frames.
        dropouts: channel of the losses.
        task: channel of the task, written once at the start.
        encode_label: encodes a label.
        encode_dropout: encodes a loss.
        encode_task: encodes the task of a task label.
        about_frames: channels of what frames are made with: their layout, and the clocks' corrections.
    """

    labels: Channel
    frames: Channel
    dropouts: Channel
    task: Channel
    encode_label: Callable[[LabelEvent], bytes]
    encode_dropout: Callable[[Dropout], bytes]
    encode_task: Callable[[LabelEvent], bytes]
    about_frames: frozenset[Channel] = frozenset()
