"""Writes an episode as one self-contained HTML file that opens offline in any browser."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from string import Template

from robot_recorder.bags.files import replaced
from robot_recorder.content.series import EpisodeData
from robot_recorder.model.labels import fold
from robot_recorder.report.html_head import facts_of, head, notes_of
from robot_recorder.report.html_numbers import embedded
from robot_recorder.report.html_tables import (
    certificate_section,
    everything,
    labels_table,
    problems_list,
    quality_section,
    streams_table,
)
from robot_recorder.report.html_text import Html, html
from robot_recorder.report.html_timeline import cameras, lane, marks
from robot_recorder.report.panels import panels


def write_html(data: EpisodeData, target: Path) -> None:
    """Write the report; an existing file is replaced only when the new one is complete.

    Raises:
        ConfigError: the file cannot be written.
    """
    text = page(data)
    with replaced(target) as partial:
        partial.write_text(text, encoding="utf-8")


def page(data: EpisodeData) -> str:
    """Return the report as text; metadata that cannot be read is listed in it."""
    episode = data.episode
    events, quality, certificate = episode.events, episode.quality, episode.certificate
    labels = fold(events)
    found = marks(data, labels, events)
    plots = panels(data)
    parts = {
        "title": html(episode.id),
        "head": head(episode.id, labels, quality, notes_of(episode), facts_of(episode, labels)),
        "cameras": cameras(data),
        "lane": lane(data, found),
        "quality": quality_section(quality),
        "labels": labels_table(data, events),
        "sync": certificate_section(certificate),
        "streams": streams_table(data, certificate),
        "everything": everything(data),
        "data": embedded(data, plots, found),
        "problems": problems_list(list(dict.fromkeys(data.problems))),
    }
    script = Html(_part("page.plots.js") + _part("page.js"))
    return Template(_part("page.html")).substitute(
        parts, style=_part("page.css"), script=script, script_hash=_sha256(script)
    )


def _part(name: str) -> Html:
    return Html(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _sha256(script: str) -> str:
    """Return the hash by which the page's content security policy allows its only script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
