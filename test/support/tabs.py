"""A real browser that shows the console's pages, driven by Playwright."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from support.browser import chromium

_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_TIMEOUT_MS = 20_000
# Keeps what the websocket brings, so that a test sees what the page saw; and when the link was lost.
_SPY = """
window.spied = {client: "", said: [], state: null, lost: []};
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({data}) => {
      if (typeof data !== "string") return;
      if (data.startsWith('{"type": "state"')) { window.spied.state = data; return; }
      const message = JSON.parse(data);
      if (message.type === "hello") window.spied.client = message.client;
      if (message.type === "said") window.spied.said.push(message);
    });
  }
};
new MutationObserver(() => {
  const status = document.documentElement.dataset.link;
  if (status === "lost") window.spied.lost.push(Date.now());
}).observe(document, {subtree: true, attributes: true, attributeFilter: ["data-link"]});
"""
_WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}


@contextmanager
def browser() -> Iterator[Browser]:
    """Run this machine's browser without a window."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(_ARGUMENTS))
        try:
            yield running
        finally:
            running.close()


class Tab:
    """One console in a browser profile of its own.

    Attributes:
        page: Playwright's page.
        problems: errors of scripts, policy violations, dialogs and requests to other machines.
        failed: answers that the browser logged as failed, such as a 409.
    """

    def __init__(
        self, browser: Browser, address: str, width: int = 1366, height: int = 768, language: str = "en"
    ) -> None:  # fmt: skip
        """Open an empty tab.

        Args:
            browser: the browser.
            address: of the console, without a slash at its end.
            width: of the window.
            height: of the window.
            language: of the page.
        """
        self.address = address
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        self.context.set_default_timeout(_TIMEOUT_MS)
        self.page: Page = self.context.new_page()
        self._devtools = self.context.new_cdp_session(
            self.page
        )  # conditions end with their session
        self.problems: list[str] = []
        self.failed: list[str] = []
        kept = f"localStorage.setItem('console.language', '\"{language}\"')"
        for script in (_SPY, f"localStorage.getItem('console.language') ?? {kept}"):
            self.page.add_init_script(f"if (window === top) {{ {script} }}")  # not in a report
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", self._asked)
        self.page.on("request", self._requested)

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def _logged(self, message: Any) -> None:
        if message.type not in ("error", "warning"):
            return
        network = ("Failed to load resource", "WebSocket connection to")
        list_ = self.failed if message.text.startswith(network) else self.problems
        list_.append(f"{message.text} {message.location.get('url', '')}")

    def _asked(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.problems.append(f"request to {request.url}")

    # -- what it shows

    def open(self, page: str = "operate", ready: str = "yes") -> Tab:
        """Show a page and wait until it has a state; ``ready`` is ``login`` where one must log in."""
        self.page.goto(f"{self.address}/#{page}")
        self.page.wait_for_selector(f"html[data-ready={ready}]", state="attached")
        return self

    def go(self, page: str) -> None:
        """Change to another page of the console."""
        self.page.evaluate("name => { location.hash = name; }", page)
        self.page.wait_for_selector(f"#page-{page}:not([hidden])")

    def speak(self, language: str) -> None:
        """Load the page again in another language."""
        self.page.evaluate("one => localStorage.setItem('console.language', JSON.stringify(one))", language)  # fmt: skip
        self.page.reload()
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def choose(self, language: str) -> None:
        """Choose the language in the page's own settings."""
        self.page.click("#settings")
        self.page.evaluate("document.querySelector('dialog[open]').dataset.before = 'yes'")
        self.page.select_option("#language", language)
        # The page opens them again in the new language.
        self.page.wait_for_selector("dialog[open]:not([data-before]) #language:focus")
        self.key("Escape")
        self.page.wait_for_selector("dialog", state="detached")

    def text(self, selector: str) -> str:
        """Return the text of an element as it is shown."""
        return self.page.locator(selector).first.inner_text().strip()

    def data(self, selector: str, name: str) -> str | None:
        """Return a data attribute."""
        return self.page.locator(selector).first.get_attribute(f"data-{name}")

    def state(self) -> str | None:
        """Return the state of the shift that the page shows."""
        return self.data("#state", "state")

    def newest(self) -> dict[str, Any]:
        """Return the newest state that came by the websocket."""
        text = self.page.evaluate("window.spied.state")
        return dict(json.loads(text)) if text else {}

    def said(self) -> list[str]:
        """Return the names of what was said to the page."""
        return [str(name) for name in self.page.evaluate("window.spied.said.map(s => s.event)")]

    def enabled(self) -> set[str]:
        """Return the commands whose buttons can be pressed."""
        selector = "[data-command]:not(:disabled)"
        return set(self.page.eval_on_selector_all(selector, "all => all.map(b => b.dataset.command)"))  # fmt: skip

    def until(self, what: str, condition: Callable[[], Any], timeout_s: float = 20) -> None:
        """Wait until a condition holds, while the page's events arrive."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited for {what}: {self.told()}"
            self.page.wait_for_timeout(20)

    def told(self) -> str:
        """Return what the page says, for messages of tests that fail."""
        shown = {
            "#state": "state",
            "#answer": "answer",
            "#connection": "link",
            "#take-said": "take",
        }
        there = [(s, n) for s, n in shown.items() if self.page.locator(s).count()]
        return ", ".join(f"{s} {self.data(s, n)} {self.text(s)!r}" for s, n in there)

    # -- what an operator does

    def key(self, name: str, held_ms: float = 30) -> None:
        """Press and release a key."""
        self.page.keyboard.press(name, delay=held_ms)

    def tab_to(self, selector: str) -> None:
        """Move the focus to an element by the Tab key alone."""
        for _ in range(120):
            if self.page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached by the Tab key")

    def press(self, name: str, state: str, timeout_s: float = 60) -> None:
        """Press a key that gives a command until the shift is in a state.

        It waits for the answer to the last press, as the page ignores a command until then. A press is
        repeated only when its answer was that the take was not started: a busy machine may make the
        streams slow.
        """
        end = time.monotonic() + timeout_s
        while True:
            self.page.wait_for_selector("#commands:not(:has([data-pending=yes]))", state="attached")
            self.page.evaluate("document.querySelector('#answer').dataset.answer = 'none'")
            self.key(name)
            self.until(
                f"{state} after {name!r}",
                lambda: self.state() == state or self.data("#answer", "answer") == "refused",
            )
            if self.state() == state:
                return
            assert "not started" in self.text("#answer"), self.told()
            assert time.monotonic() < end, self.told()
            self.page.wait_for_timeout(300)

    def start_take(self) -> None:
        """Start a take by a key and wait until it has something in it."""
        self.press(" ", "recording")
        self.until("a while", lambda: self.text("#clock") > "0:00.6")

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Post a body as this page does, and return the answer with its ``status``."""
        if path in ("/api/command", "/api/begin"):
            body.setdefault("key", secrets.token_hex(8))
        script = """async ([path, body]) => {
          const headers = {"Content-Type": "application/json", "X-Console": window.spied.client};
          const answer = await fetch(path, {method: "POST", headers, body: JSON.stringify(body)});
          return {...await answer.json(), status: answer.status};
        }"""
        return dict(self.page.evaluate(script, [path, body]))

    def begin(self, **plan: Any) -> None:
        """Take the buttons, end what is going on, and begin a shift."""
        assert self.post("/api/hold", take=True)["ok"]
        for command in ("discard", "end"):
            self.post("/api/command", command=command)
        begun = self.post("/api/begin", **{"task": "lift_box", "operator": "ann", "target": 0, **plan})  # fmt: skip
        assert begun["ok"], begun
        self.until("the shift to begin", lambda: self.state() == "ready")

    # -- how it looks

    def violations(self) -> list[str]:
        """Return what axe-core finds wrong, one sentence each."""
        found = Axe().run(self.page, options=_WCAG).response["violations"]
        return [f"{v['id']}: {n['target']} {n['failureSummary']}" for v in found for n in v["nodes"]]  # fmt: skip

    def throttle(
        self, latency_ms: float = 0, bytes_per_s: float = -1, offline: bool = False
    ) -> None:
        """Set the conditions of the network; without arguments as it is."""
        self.tell("Network.enable")
        self.tell(
            "Network.emulateNetworkConditions",
            offline=offline, latency=latency_ms, downloadThroughput=bytes_per_s, uploadThroughput=bytes_per_s,
        )  # fmt: skip

    def tell(self, method: str, **parameters: Any) -> None:
        """Give the browser a command of the DevTools protocol."""
        self._devtools.send(method, parameters)
