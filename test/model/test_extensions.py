"""Extensions that cannot be loaded are named and stop nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from robot_recorder.model import extensions as module
from robot_recorder.model.extensions import extensions

GROUP = "robot_recorder.test"
INSTALLED = [
    EntryPoint("good", "math:sqrt", GROUP),
    EntryPoint("good", "math:pow", GROUP),
    EntryPoint("missing", "no_such_module:thing", GROUP),
    EntryPoint("unnamed", "math:no_such_name", GROUP),
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "entry_points", lambda group: INSTALLED)
    extensions.cache_clear()
    yield
    extensions.cache_clear()


@pytest.mark.usefixtures("installed")
def test_each_problem_is_reported_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    found, problems = extensions(GROUP)
    assert list(found) == ["good"] and found["good"](9) == 3
    twice, missing, unnamed = problems
    assert twice == f"{GROUP}: 'good' exists twice; math:pow is ignored"
    assert "no_such_module:thing cannot be loaded: ModuleNotFoundError" in missing
    assert "math:no_such_name cannot be loaded: AttributeError" in unnamed
    assert extensions(GROUP).problems == problems and len(caplog.records) == 3
