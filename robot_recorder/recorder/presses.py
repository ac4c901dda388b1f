"""Tells press, long and double press of one button apart. Pure; times are s of a monotonic clock."""

from __future__ import annotations

import math

from robot_recorder.configuration.buttons import ButtonCommand, Gestures

# A message that ends a longer silence of a button that repeats its state tells nothing about the time before.
_SILENT_S = 1.0
# Who holds a button that does not repeat its state for longer had something else in mind, or was away.
_LONGEST_S = 5.0


class Presses:
    """One button: states go in as they are heard, what the gestures say comes out.

    Only the first change after a time of quiet counts at once. Further changes within the time of
    bouncing only prolong that time; the state in which it ends then counts.

    A source is reliable if it tells of every change, and of its own end: the kernel's input devices. A
    long press of theirs is told by time. A publisher of a topic can vanish with the button down, and then
    no time may make that a long press: it is told by a message, either one that still says "down"
    after that time (joy_node repeats 20 times a second), or the one that says "up" (of publishers that do
    not repeat).
    """

    def __init__(self, gestures: Gestures, reliable: bool = False) -> None:
        """Create a button.

        Args:
            gestures: what it says.
            reliable: whether its source tells of every change and of its own end; it is up then. Else a
                button that is down when it is first seen says nothing until it has been up.
        """
        self._gestures = gestures
        self._timing = gestures.timing
        self._reliable = reliable
        self.forget()

    def forget(self) -> None:
        """Drop a press that has not said anything yet: the source is gone, or only appears now."""
        self._down: bool | None = False if self._reliable else None  # after bouncing; None: unknown
        self._raw = self._down  # as last heard
        self._changed_s = -math.inf  # of the last change of _raw
        self._heard_s = -math.inf
        self._repeats = False  # its state is repeated while it is down
        self._down_s = -math.inf
        self._up_s: float | None = None  # end of a first press that a second one may follow
        self._said = True  # this press has said something, or is not to

    def assume_up(self) -> None:
        """Take a button of unknown state as up: its source would have told that it is down."""
        if self._down is None:
            self._down = self._raw = False

    def tap(self, now_s: float) -> list[ButtonCommand]:
        """Hear of a press that has no length.

        Returns:
            What it says.
        """
        self.assume_up()
        return self.see(True, now_s) + self.see(False, now_s)

    def see(self, down: bool, now_s: float) -> list[ButtonCommand]:
        """Hear a state.

        Args:
            down: whether the button is down.
            now_s: when it was.

        Returns:
            What is said by it, and by the time that has passed.
        """
        found = self.pass_time(now_s)
        if self._down is None:
            # It may have been down for long, and pressed for another purpose.
            self._down = self._raw = down
            self._said, self._heard_s = True, now_s
            return found
        silent_s, self._heard_s = now_s - self._heard_s, now_s
        if self._down and self._repeats and silent_s > _SILENT_S:
            self._said = True
        self._repeats = bool(self._down and self._raw and down)
        if down != self._raw:
            quiet = now_s - self._changed_s >= self._timing.bounce_s
            self._raw, self._changed_s = down, now_s
            if quiet:
                found += self._accept(now_s)
        if self._raw and self._down and not self._reliable:
            found += self._hold(now_s)
        return found

    def pass_time(self, now_s: float) -> list[ButtonCommand]:
        """Return what is said by the passing of time; call it at ``due_s``."""
        found: list[ButtonCommand] = []
        settled_s = self._changed_s + self._timing.bounce_s
        if self._raw != self._down and now_s >= settled_s:
            found += self._accept(self._changed_s)
        if self._reliable and self._raw and self._down:
            found += self._hold(now_s)
        if now_s >= self._single_s():
            found += self._single()
        return found

    def due_s(self) -> float | None:
        """Return when ``pass_time`` must be called next; None: only a message can change anything."""
        times = [self._single_s()]
        if self._raw != self._down and self._down is not None:
            times.append(self._changed_s + self._timing.bounce_s)
        if self._reliable and self._down and not self._said and self._gestures.long is not None:
            times.append(self._long_s())
        first_s = min(times)
        return first_s if math.isfinite(first_s) else None

    def _accept(self, at_s: float) -> list[ButtonCommand]:
        """Take the state that was heard last as the button's."""
        self._down = self._raw
        return self._press(at_s) if self._down else self._release(at_s)

    def _press(self, at_s: float) -> list[ButtonCommand]:
        gestures = self._gestures
        self._down_s, self._said, self._repeats = at_s, False, False
        if self._up_s is not None:
            self._up_s = None
            return self._say(gestures.double)
        if gestures.long is None and gestures.double is None:
            return self._say(gestures.press)
        return []

    def _release(self, at_s: float) -> list[ButtonCommand]:
        if self._said:
            return []
        if self._gestures.long is not None and at_s >= self._long_s():
            believed = self._reliable or at_s <= self._down_s + _LONGEST_S
            return self._say(self._gestures.long if believed else None)
        if self._gestures.double is not None:
            self._said, self._up_s = True, at_s
            return []
        return self._say(self._gestures.press)

    def _hold(self, now_s: float) -> list[ButtonCommand]:
        """Return what a button says that is known to be down still."""
        if self._said or self._gestures.long is None:
            return []
        return self._say(self._gestures.long) if now_s >= self._long_s() else []

    def _long_s(self) -> float:
        """Return when this press becomes a long one."""
        return self._down_s + self._timing.long_s

    def _single_s(self) -> float:
        """Return when a first press turns out to be the only one; infinite: none waits for that."""
        if self._up_s is not None:
            return self._up_s + self._timing.double_s
        waits = self._down and self._raw and not self._said
        if waits and self._gestures.long is None and self._gestures.double is not None:
            return self._down_s + self._timing.double_s  # it is held, so no second one can come
        return math.inf

    def _single(self) -> list[ButtonCommand]:
        self._up_s = None
        return self._say(self._gestures.press)

    def _say(self, command: ButtonCommand | None) -> list[ButtonCommand]:
        self._said = True
        return [] if command is None else [command]
