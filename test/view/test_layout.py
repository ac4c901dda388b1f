"""The layout of the viewer."""

from __future__ import annotations

import pytest

pytest.importorskip("rerun")
from rerun.chunk import RrdReader
from support.recordings import Recorded


def test_the_layout_has_a_view_for_each_content(recorded: Recorded) -> None:
    reader = RrdReader(recorded.path)
    (store,) = reader.blueprints()
    origins: list[str] = []
    contents: list[str] = []
    names: list[str] = []
    for chunk in reader.stream(store=store):
        batch = chunk.to_record_batch()
        for component, found in (
            ("ViewBlueprint:space_origin", origins),
            ("ViewContents:query", contents),
            ("ViewBlueprint:display_name", names),
        ):
            if component in batch.schema.names:
                found += [v for row in batch.column(component).to_pylist() for v in row]
    there = recorded.entities()
    shown = [q.removeprefix("+ ") for q in contents if not q.startswith("$origin")]
    shown += [f"/{origin.strip('/')}" for origin in origins if origin != "/"]
    for path in shown:
        assert any(e == path or e.startswith(f"{path}/") for e in there), path
    assert {"Camera", "Robot", "Palm", "Episode", "Label history"} <= set(names)
    assert "Joints that move most: position, rad" in names
