"""The card of a dataset as Markdown, with what Hugging Face reads."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from robot_recorder.dataset.card.about import About, figures_of, is_lerobot, lead
from robot_recorder.dataset.card.blocks import (
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
from robot_recorder.dataset.card.sections import sections_of
from robot_recorder.model.text import visible

# Licences that Hugging Face knows; any other is "other" with a name.
_LICENSES = re.compile(
    r"apache-2\.0|mit|bsd-[23]-clause|l?gpl-3\.0|mpl-2\.0|cc0-1\.0|odbl|pddl"
    r"|cc-by(-nc)?(-sa|-nd)?-4\.0"
)


_ACTIVE = re.compile(r"[\\`*\[\]|~$@]|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.|:(?=//)", re.IGNORECASE)


_IN_CODE = re.compile(r"^[^`|<>&\\]+$")


def _markdown(cell: Cell) -> str:
    """Return a cell or paragraph as Markdown in which no text of a bag means anything."""
    if isinstance(cell, tuple):
        return "".join(map(_markdown, cell))
    text = cell.short if isinstance(cell, Listed) else visible(cell)
    if isinstance(cell, Mono) and _IN_CODE.match(text):
        return f"`{text}`"
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ACTIVE.sub(lambda found: "\\" + found[0], escaped)


def readme_text(about: About) -> str:
    """Return the card as Markdown."""
    figures = Grid(("This dataset", ""), tuple(figures_of(about)))
    parts = [f"---\n{_front(about)}---", f"# {_markdown(about.title)}", _markdown(lead(about))]
    parts.append(_block(figures, about.schema.rate_hz))
    for section in sections_of(about):
        blocks = [_block(block, about.schema.rate_hz) for block in section.blocks]
        parts += [f"## {section.title}", *blocks]
    return "\n\n".join(parts) + "\n"


def _front(about: About) -> str:
    """Return what Hugging Face reads, as YAML."""
    least = max(0, int(math.log10(max(about.frames, 1))) - 2)
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
    plain: dict[str, Any] = {"pretty_name": about.title}
    if own := about.options.license.strip():
        known = _LICENSES.fullmatch(own.lower()) is not None
        plain["license"] = own.lower() if known else "other"
        plain |= {} if known else {"license_name": slug(own).lower(), "license_details": clean(own)}
    plain["task_categories"] = ["robotics"]
    plain["tags"] = [*(["LeRobot"] if is_lerobot(about) else []), "robot_recorder"]
    plain["size_categories"] = [names[least] if least < len(names) else "n>1B"]
    if is_lerobot(about) or about.format == "parquet":
        plain["configs"] = [{"config_name": "default", "data_files": "data/*/*.parquet"}]
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=10_000)


def _block(block: Block, rate_hz: float) -> str:
    if isinstance(block, CodeLines):
        return f"```{block.language}\n{block.text}\n```"
    if isinstance(block, Grid):
        line = ["---:" if at in block.numbers else "---" for at in range(len(block.rows[0]))]
        headings = block.headings or ("", "")
        rows = [headings, line, *([_markdown(short(c)) for c in row] for row in block.rows)]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    if isinstance(block, tuple) and isinstance(block[0], SampleClip):
        rows = [("", ""), ("---", "---"), *(_sample(c, rate_hz) for c in block)]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return _markdown(block)


def _sample(clip: SampleClip, rate_hz: float) -> tuple[str, str]:
    picture = f"![{_markdown(clean(clip.feature.name))}]({clip.still})"
    what, which = map(_markdown, clip.caption(rate_hz))
    return f"[{picture}]({clip.clip})" if clip.clip else picture, f"{what}<br>{which}"
