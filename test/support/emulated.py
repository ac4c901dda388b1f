"""An emulated headset in a real browser: iwer, which tools/bootstrap.py --tests installs by npm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from support.browser import chromium
from support.tabs import Tab

EMULATOR = Path(__file__).parents[2] / ".cache/npm/node_modules/iwer/build/iwer.min.js"
_ARGUMENTS = (
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_WORN = """
if (window === top) {
  // A controller is held where it is, not 5 cm beside it; turned like its ray.
  for (const {gripOffsetMatrix} of Object.values(IWER.metaQuest3.controllerConfig.layout))
    gripOffsetMatrix.splice(0, 16, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);
  window.headset = new IWER.XRDevice(IWER.metaQuest3);
  window.headset.installRuntime({forceInstall: true});
  window.headset.position.set(0, 1.6, 0);
  // The emulator calls every position of a hand a guess; here the test says so.
  window.guessed = false;
  Object.defineProperty(XRPose.prototype, "emulatedPosition", {get: () => window.guessed});
}
"""


_AGAIN_S = 5.0  # between two presses of the same button


@contextmanager
def browser_with_webgl() -> Iterator[Browser]:
    """Run this machine's browser without a window; it draws in software."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(_ARGUMENTS))
        try:
            yield running
        finally:
            running.close()


class HeadsetTab(Tab):
    """The console's page for a headset, on an emulated one."""

    def __init__(self, browser: Browser, address: str, worn: bool = True, **more: Any) -> None:
        """Open an empty tab.

        Args:
            browser: with WebGL.
            address: of the console.
            worn: whether the browser has a headset at all.
            more: as of a tab.
        """
        # Small, because what the headset shows is drawn in software, as large as the window.
        super().__init__(browser, address, **{"width": 700, "height": 480, **more})
        if worn:
            self.page.add_init_script(path=EMULATOR)
            self.page.add_init_script(_WORN)

    def __enter__(self) -> HeadsetTab:
        return self

    def open(self, page: str = "teleop", ready: str = "yes") -> HeadsetTab:
        """Show the page and wait until it has a state."""
        self.page.goto(f"{self.address}/{page}")
        self.page.wait_for_selector(f"html[data-ready={ready}]", state="attached")
        return self

    def enter(self) -> HeadsetTab:
        """Enter VR."""
        pressed_s = -_AGAIN_S

        def is_in() -> bool:
            """Press until it runs: a page that was closed keeps the buttons for some seconds."""
            nonlocal pressed_s
            free = self.data("#holder", "holder") in ("nobody", "me")
            is_new = time.monotonic() > pressed_s + _AGAIN_S
            if free and is_new and self.page.is_enabled("#enter-vr") and self._vr() == "ready":
                pressed_s = time.monotonic()
                self.page.click("#enter-vr")
            return self._vr() == "in"

        self.until("the session", is_in)
        return self

    def _vr(self) -> str | None:
        return self.data("#vr-state", "vr")

    def leave(self) -> None:
        """End the session, whose picture covers the page."""
        self.page.evaluate("document.querySelector('#enter-vr').click()")
        self.until("the end", lambda: self.data("#vr-state", "vr") == "ready")

    def wear(self, position_m: tuple[float, float, float], yaw_rad: float = 0.0) -> None:
        """Put the head somewhere: x right, y up, z back, as browsers have it."""
        self.page.evaluate(
            """([[x, y, z], yaw]) => {
              headset.position.set(x, y, z);
              headset.quaternion.set(0, Math.sin(yaw / 2), 0, Math.cos(yaw / 2));
            }""",
            [position_m, yaw_rad],
        )

    def hold(self, side: str, position_m: tuple[float, float, float], **buttons: float) -> None:
        """Put a controller somewhere and press its buttons, from 0 to 1.

        Args:
            side: left or right.
            position_m: x right, y up, z back.
            buttons: trigger, squeeze, lower, upper.
        """
        lower, upper = ("x-button", "y-button") if side == "left" else ("a-button", "b-button")
        named = {"lower": lower, "upper": upper}
        values = {named.get(name, name): value for name, value in buttons.items()}
        self.page.evaluate(
            """([side, [x, y, z], values]) => {
              const one = headset.controllers[side];
              one.position.set(x, y, z);
              one.quaternion.set(0, 0, 0, 1);
              for (const [name, value] of Object.entries(values)) one.updateButtonValue(name, value);
            }""",
            [side, position_m, values],
        )

    def move(self, ways: dict[str, tuple[float, float, float]], seconds: float) -> None:
        """Move controllers, slowly at first and at the end, in the page's own time.

        Args:
            ways: by side: m ahead, to the left and up, where browsers have -z, -x and y.
            seconds: how long it takes.
        """
        self.page.evaluate(
            """([ways, seconds]) => new Promise((done) => {
              const begun = performance.now(), from = {};
              for (const side of Object.keys(ways)) {
                const {x, y, z} = headset.controllers[side].position;
                from[side] = [x, y, z];
              }
              const timer = setInterval(() => {
                const u = Math.min((performance.now() - begun) / 1000 / seconds, 1);
                const share = u ** 3 * (10 - 15 * u + 6 * u * u);
                for (const [side, [ahead, left, up]] of Object.entries(ways)) {
                  const [x, y, z] = from[side];
                  headset.controllers[side].position.set(
                    x - share * left, y + share * up, z - share * ahead);
                }
                headset.position.x = 0.01 * Math.sin(performance.now() / 700); // nobody is ever still
                if (u === 1) { clearInterval(timer); done(); }
              }, 5);
            })""",
            [ways, seconds],
        )

    def press_buttons(self, side: str, **buttons: float) -> None:
        """Press or release buttons of a controller where it is."""
        at = self.page.evaluate(
            "side => { const {x, y, z} = headset.controllers[side].position; return [x, y, z]; }",
            side,
        )
        self.hold(side, (at[0], at[1], at[2]), **buttons)
