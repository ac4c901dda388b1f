"""The card of a dataset as a page of its own."""

from __future__ import annotations

import base64
from pathlib import Path
from string import Template

from robot_recorder.dataset.card.about import About, figures_of, lead
from robot_recorder.dataset.card.blocks import (
    MOST_NAMES,
    Block,
    Cell,
    CodeLines,
    Grid,
    Listed,
    Mono,
    SampleClip,
    clean,
    short,
    slug,
)
from robot_recorder.dataset.card.charts import draw_charts
from robot_recorder.dataset.card.sections import sections_of
from robot_recorder.model.text import visible
from robot_recorder.report.html_text import Html, element, html, table

_ONE_LINE = 40  # characters of a name in a table that is not broken


def _plain(cell: Cell) -> Html:
    if isinstance(cell, tuple):
        return html([_plain(piece) for piece in cell])
    if isinstance(cell, Listed) and len(cell.texts) > MOST_NAMES:
        every = html([element("li", clean(t)) for t in cell.texts])
        return element("details", element("summary", cell.short), element("ul", every))
    text = cell.short if isinstance(cell, Listed) else visible(cell)
    if not isinstance(cell, Mono):
        return html(text)
    return element("code", text, class_="long" if len(text) > _ONE_LINE else None)


def page_text(folder: Path, about: About) -> str:
    """Return the card as HTML; its samples are in the folder."""
    charts = element("div", draw_charts(about), class_="charts")
    body = [element("section", element("h2", "At a glance"), charts)]
    links = []
    for section in sections_of(about):
        anchor, title = slug(section.title).lower(), section.title
        links.append(element("a", title.partition(",")[0], href=f"#{anchor}"))
        blocks = [_shown(block, folder, about.schema.rate_hz) for block in section.blocks]
        body.append(element("section", element("h2", title), blocks, id=anchor))
    tiles = [element("div", element("b", v), element("span", k)) for k, v in figures_of(about)]
    template, style = (
        Path(__file__).with_name(f"page.{suffix}").read_text(encoding="utf-8")
        for suffix in ("html", "css")
    )
    return Template(template).substitute(
        title=html(about.title), lead=html(lead(about)), tiles=html(tiles),
        links=html(links), sections=html(body), style=style,
        made=html(f"robot_recorder {clean(about.lock.version)}"),
    )  # fmt: skip


def _shown(block: Block, folder: Path, rate_hz: float) -> Html:
    if isinstance(block, CodeLines):
        return element("pre", element("code", block.text))
    if isinstance(block, Grid) and not block.headings:
        pairs = [[element("dt", _plain(n)), element("dd", _plain(short(v)))] for n, v in block.rows]
        return element("dl", [element("div", pair) for pair in pairs])
    if isinstance(block, Grid):
        rows = [[_plain(short(cell)) for cell in row] for row in block.rows]
        return table(block.headings, rows, block.numbers)
    if isinstance(block, tuple) and isinstance(block[0], SampleClip):
        return element("div", [_player(clip, folder, rate_hz) for clip in block], class_="samples")
    return element("p", _plain(block))


def _player(clip: SampleClip, folder: Path, rate_hz: float) -> Html:
    data = base64.b64encode((folder / clip.still).read_bytes()).decode()
    picture = f"data:image/jpeg;base64,{data}"
    height, width = clip.feature.shape[:2]
    seen = element("img", src=picture, alt=clean(clip.feature.name), width=width, height=height)
    if clip.clip:
        seen = element("video", src=clip.clip, poster=picture, controls=True, loop=True, muted=True,
                       playsinline=True, preload="none", width=width, height=height)  # fmt: skip
    lines = [element("span", line) for line in clip.caption(rate_hz)]
    return element("figure", seen, element("figcaption", lines))
