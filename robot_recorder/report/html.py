"""One self-contained HTML file that tells an episode: to be opened in any browser, offline, and sent around."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import TypeVar

from robot_recorder.core.errors import BagError
from robot_recorder.core.labels import LabelEvent, fold
from robot_recorder.core.quality.report import UNCHECKED
from robot_recorder.report.episode_data import EpisodeData
from robot_recorder.report.html_head import facts_of, head, notes_of
from robot_recorder.report.html_numbers import embedded
from robot_recorder.report.html_panels import panels
from robot_recorder.report.html_tables import (
    certificate_section,
    everything,
    labels_table,
    problems_list,
    quality_section,
    streams_table,
)
from robot_recorder.report.html_text import Html, element, html
from robot_recorder.report.html_timeline import Mark, cameras, lane, marks
from robot_recorder.storage.files import replaced

_Value = TypeVar("_Value")


def write_html(data: EpisodeData, target: Path) -> None:
    """Write the report; replaces the file only once it is whole.

    Raises:
        ConfigError: it can not be written.
    """
    text = page(data)
    with replaced(target) as partial:
        partial.write_text(text, encoding="utf-8")


def page(data: EpisodeData) -> str:
    """The report as text. What of the metadata can not be understood is listed in it, not fatal."""
    episode, problems = data.episode, list(data.problems)

    def read(what: str, get: Callable[[], _Value], otherwise: _Value) -> _Value:
        try:
            return get()
        except BagError as error:
            problems.append(str(error))
        # Whoever wrote the metadata may have meant something else by the same key.
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problems.append(f"the {what} in metadata.yaml can not be understood: {error!r}")
        return otherwise

    unread = element("p", "It can not be understood; see the end of this page.")
    events = read("labels", lambda: episode.events, list[LabelEvent]())
    labels = fold(events)
    quality = read("quality report", lambda: episode.quality, UNCHECKED)
    certificate = read("sync certificate", lambda: episode.certificate, None)
    found = read("labels", lambda: marks(data, labels, events), list[Mark]())
    plots = panels(data)
    notes = read("facts", lambda: notes_of(episode), list[str]())
    facts = read("facts", lambda: facts_of(episode, labels), list[tuple[str, str]]())
    parts = {
        "title": html(episode.id),
        "head": head(episode.id, labels, quality, notes, facts),
        "cameras": cameras(data),
        "lane": lane(data, found),
        "quality": read("quality report", lambda: quality_section(quality), unread),
        "labels": read("labels", lambda: labels_table(data, events), unread),
        "sync": read("sync certificate", lambda: certificate_section(certificate), unread),
        "streams": read("streams", lambda: streams_table(data, certificate), unread),
        "everything": everything(data),
        "data": embedded(data, plots, found),
    }
    parts["problems"] = problems_list(list(dict.fromkeys(problems)))
    script = Html(_part("page.plots.js") + _part("page.js"))
    return Template(_part("page.html")).substitute(
        parts, style=_part("page.css"), script=script, script_hash=_sha256(script)
    )


def _part(name: str) -> Html:
    return Html(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _sha256(script: str) -> str:
    """What the page's content security policy knows its only script by: no other one is ever run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
