"""Recordings of the viewer, read back from their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rerun")
from rerun.chunk import RrdReader

from robot_recorder.content.contents import Contents
from robot_recorder.view import episode, viewer
from robot_recorder.view.log import CLOCK, TIME
from support.samples import T0


@dataclass
class Recorded:
    """A recording, read back from its file."""

    path: Path
    viewed: episode.ViewResult
    start_ns: int = T0

    def rows(self, entity: str, component: str) -> tuple[np.ndarray, list[Any]]:
        """Return the sorted times (s) and values of a component; static values have no time."""
        times: list[float] = []
        values: list[Any] = []
        for chunk in RrdReader(self.path).stream():
            batch = chunk.to_record_batch()
            if chunk.entity_path == entity and component in batch.schema.names:
                values += batch.column(component).to_pylist()
                if not chunk.is_static:
                    since = batch.column(TIME).to_numpy()
                    clock = batch.column(CLOCK).to_numpy().astype(np.int64)
                    assert (clock - since.astype(np.int64) == self.start_ns).all()
                    times += (since / np.timedelta64(1, "s")).tolist()
        if not times:
            return np.empty(0), values
        order = np.argsort(times, kind="stable")
        return np.array(times)[order], [values[i] for i in order]

    def entities(self) -> set[str]:
        return {chunk.entity_path for chunk in RrdReader(self.path).stream()}


def view(bag: Path, target: Path, everything: bool = False) -> Recorded:
    recording = viewer.new_recording()
    with viewer.saved(recording, target):
        contents = Contents.open(bag)
        viewed = episode.log_episode(contents, recording, everything)
    return Recorded(target, viewed, contents.start_ns)
