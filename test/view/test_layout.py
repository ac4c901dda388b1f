"""The layout of the viewer."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rerun")
from rerun.chunk import RrdReader
from support.recordings import Recorded, view
from support.two_arms import two_arms


def shown_in(recorded: Recorded) -> tuple[list[str], list[str], list[str]]:
    """Return the origins, contents and names of all views."""
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
    return origins, contents, names


def test_the_layout_has_a_view_for_each_content(recorded: Recorded) -> None:
    origins, contents, names = shown_in(recorded)
    there = recorded.entities()
    shown = [q.removeprefix("+ ") for q in contents if not q.startswith("$origin")]
    shown += [f"/{origin.strip('/')}" for origin in origins if origin != "/"]
    for path in shown:
        assert any(e == path or e.startswith(f"{path}/") for e in there), path
    assert {"camera", "Robot", "palm, Pa", "Episode", "Label history"} <= set(names)
    assert "joints with commands (pale): position, rad" in names
    assert "wrench: force, N (2 constant values not drawn)" in names
    assert not any("torque" in name for name in names), "it never changes"


def test_each_arm_has_a_plot_of_its_own_with_its_leader(tmp_path: Path) -> None:
    found = view(two_arms(tmp_path / "bag"), tmp_path / "arms.rrd")
    _, contents, names = shown_in(found)
    arms = [n for n in names if "arm with" in n]
    title = "{0}_arm with {0}_leader (pale): position, rad (1 constant value not drawn)"
    assert set(arms) == {title.format("right"), title.format("left")}
    for side in ("left", "right"):
        paths = {f"/streams/{side}_{what}/position/moving" for what in ("arm", "leader")}
        assert paths <= {query.removeprefix("+ ") for query in contents}
    _, left = found.rows("/streams/left_arm/position/moving", "SeriesLines:colors")
    _, right = found.rows("/streams/right_arm/position/moving", "SeriesLines:colors")
    assert left != right, "equal joints of two arms have different colours"
    (text,) = found.rows("/episode", "TextDocument:text")[1][-1]
    assert "never change" in text and "position/head, 3 values" in text
