"""Files of pages: an application's own, and those that all applications share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from robot_recorder.web.static_files import SHARED, SharedStatic


@pytest.fixture
def files(tmp_path: Path) -> SharedStatic:
    own = tmp_path / "static"
    own.mkdir()
    (own / "words.js").write_text("own words")
    (own / "events.js").write_text("own events")
    (tmp_path / "secret.js").write_text("secret")
    return SharedStatic(own)


def _served(files: SharedStatic, path: str) -> Path:
    scope = {"type": "http", "method": "GET", "headers": [], "path": f"/{path}"}
    answer = asyncio.run(files.get_response(files.get_path(scope), scope))
    assert isinstance(answer, FileResponse)
    return Path(answer.path)


def test_an_own_file_and_a_shared_one_lie_below_the_same_address(
    files: SharedStatic, tmp_path: Path
) -> None:
    assert _served(files, "words.js") == tmp_path / "static/words.js"
    assert _served(files, "dom.js") == SHARED / "dom.js"


def test_the_own_file_comes_first(files: SharedStatic, tmp_path: Path) -> None:
    assert (SHARED / "events.js").exists()
    assert _served(files, "events.js") == tmp_path / "static/events.js"


@pytest.mark.parametrize("path", ["../secret.js", "../static_files.py", "../../secret.js", "none.js", ""])  # fmt: skip
def test_nothing_else_is_served(files: SharedStatic, path: str) -> None:
    with pytest.raises(HTTPException) as refused:
        _served(files, path)
    assert refused.value.status_code == 404


def test_shared_scripts_import_only_what_is_shared_or_words() -> None:
    names = {file.name for file in SHARED.iterdir()} | {"words.js"}
    for script in SHARED.glob("*.js"):
        text = script.read_text()
        for part in text.split('from "./')[1:]:
            assert part.split('"')[0] in names, f"{script.name} imports {part[:30]}"
