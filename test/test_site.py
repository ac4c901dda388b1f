"""The site built by `make docs`: it has all pages, a working search and the API reference."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from support.browser import Browser, chromium
from support.pages import ROOT

SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def listed(entries: list[object]) -> list[str]:
    """Return the pages of a navigation, at any depth."""
    found: list[str] = []
    for entry in entries:
        places = entry.values() if isinstance(entry, dict) else [entry]
        for place in places:
            found += listed(place) if isinstance(place, list) else [str(place)]
    return found


def test_the_navigation_lists_every_page_once() -> None:
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    pages += ["index.md", "CONTRIBUTING.md", "CHANGELOG.md", "decisions/", "robots/"]
    assert sorted(listed(SITE["nav"])) == sorted(pages), "correct nav in mkdocs.yml"


def test_every_api_reference_names_an_existing_object() -> None:
    for name in re.findall(r"^::: (.+)$", (ROOT / "docs/api.md").read_text(), re.M):
        path = ROOT / name.replace(".", "/")
        if path.with_suffix(".py").is_file() or path.is_dir():
            continue
        module, _, member = name.rpartition(".")
        text = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()
        assert re.search(rf"^(class |def )?{member}\b", text, re.M), f"api.md: there is no {name}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site."""
    for module in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(module, reason="needs the packages that make docs installs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    done = subprocess.run([*command, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_search_finds_every_page(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text())
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    pages = {
        p.relative_to(ROOT / "docs").with_suffix(".html") for p in (ROOT / "docs").rglob("*.md")
    }
    assert found >= {str(page) for page in pages} | {"index.html"}


def test_no_link_of_the_site_is_dead(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for link in re.findall(r'(?:href|src)="([^"#:?]+)[^":]*"', page.read_text()):
            target = (page.parent / link).resolve()
            assert target.exists(), f"{page.relative_to(site)}: {link}"


def test_the_site_loads_nothing_from_other_hosts(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]+)',
            page.read_text(),
        )
        assert not loaded, f"{page.relative_to(site)} loads {loaded}"


@pytest.mark.skipif(chromium() is None, reason="needs Chromium")
def test_the_search_works_and_loads_nothing_from_other_hosts(site: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}/"
    try:
        with Browser() as browser:
            url = f"{here}decisions/0003-our-own-mcap-writer.html?q=trash"
            browser.call("Page.navigate", url=url)
            browser.wait("document.querySelectorAll('.md-search-result__item').length > 3")
            assert all(u.startswith((here, "about:", "data:", "blob:")) for u in browser.requests)
    finally:
        server.shutdown()


def test_the_site_has_the_api_reference(site: Path) -> None:
    page = (site / "api.html").read_text()
    for name in ("quality.checks.check.Check", "bags.writer.BagWriter", "messages.kinds.Kind"):
        assert f'id="robot_recorder.{name}"' in page


def test_lists_and_tables_are_rendered(site: Path) -> None:
    """GitHub renders a list without an empty line before it; the site's Markdown does not."""
    text_as_list = re.compile(r"<p>(?:(?!</p>).)*?\n(?:[-*] |\||\d+\. )", re.S)
    for page in site.rglob("*.html"):
        found = text_as_list.search(page.read_text())
        assert not found, f"{page.name}: {found[0][-80:] if found else ''}"
