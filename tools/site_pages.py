"""Hooks of `make docs`: pages of the checkout's root join the site, links to other files lead to copies of them.

The pages are written for GitHub. Here README.md becomes the index, and what they link outside of docs/ is put
into the site, so that no link of a page is changed for the site's sake.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
STYLE = ".md-grid { max-width: 80rem; } td:first-child code { white-space: nowrap; }\n"  # room for tables
COPIES = "checkout"  # folder of the site with files that pages link
_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")


def on_config(config: Any) -> Any:
    """List the pages of a folder, such as ``decisions/``, in the navigation, in their order."""
    for part in config.nav:
        for entries in (x for x in part.values() if isinstance(x, list)):
            for entry in entries:
                for title, place in entry.items():
                    if isinstance(place, str) and place.endswith("/"):
                        pages = sorted((ROOT / "docs" / place).glob("*.md"))
                        entry[title] = [f"{place}{page.name}" for page in pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the root's pages, and every file outside of docs/ that a page links."""
    files.append(File.generated(config, "assets/site.css", content=STYLE))
    for name, place in ROOT_PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    for page in [*ROOT_PAGES, *(f"docs/{f.src_uri}" for f in files.documentation_pages())]:
        if not (ROOT / page).is_file():
            continue  # a root page under its name in the site
        for link in _LINK.findall((ROOT / page).read_text(encoding="utf-8")):
            target = _in_checkout(page, link)
            place = f"{COPIES}/{target}"
            if _is_outside(target) and files.get_file_from_path(place) is None:
                files.append(File.generated(config, place, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let the links of a page lead to where their files are in the site."""
    source = {v: k for k, v in ROOT_PAGES.items()}.get(page.file.src_uri)
    written = source or f"docs/{page.file.src_uri}"
    here = posixpath.dirname(page.file.src_uri)
    return _LINK.sub(
        lambda m: posixpath.relpath(_in_site(_in_checkout(written, m[1])), here), markdown
    )


def _in_checkout(page: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _is_outside(target: str) -> bool:
    return not target.startswith("docs/") and target not in ROOT_PAGES and (ROOT / target).is_file()


def _in_site(target: str) -> str:
    if target in ROOT_PAGES:
        return ROOT_PAGES[target]
    return f"{COPIES}/{target}" if _is_outside(target) else target.removeprefix("docs/")
