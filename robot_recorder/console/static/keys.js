// Keys as buttons: press, long press and double press, as bound in config/buttons.

import { dialogIsOpen } from "./dialog.js";

const LONG_MS = 600;
const DOUBLE_MS = 300;
const BOUNCE_MS = 40; // a pedal's contact that opens for less has not been released
const LATE_MS = 50; // a timer that is later lets a release be heard first, for as long

const TYPED = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";
// what Space and Enter mean something to; a lamp only shows more, which its focus did already
const NATIVE = {
  " ": "button:not(.lamp), summary, input",
  Enter: "button:not(.lamp), a[href], summary, input",
};

const nameOf = (event) => (event.key.length === 1 ? event.key.toLowerCase() : event.key);
export const typing = (event) =>
  event.target instanceof Element && event.target.closest(TYPED) !== null;
export const modified = (event) =>
  event.ctrlKey || event.altKey || event.metaKey || event.isComposing;

/** Turns key events into gestures of the bound keys. */
export class Gestures {
  #bound;
  #ready;
  #told;
  #held = new Map(); // key: timer of its long press
  #waiting = new Map(); // key: timer of a press that may become a double one, and when that was
  #since_ms = new Map(); // key: when it went down
  #released_ms = new Map();

  /**
   * @param bound what each key does: {key: {press, long, double}}
   * @param ready whether gestures count at this moment
   * @param told hears what is bound to the gesture
   */
  constructor(bound, ready, told) {
    this.#bound = new Map(
      Object.entries(bound ?? {}).map(([key, does]) => [
        key.length === 1 ? key.toLowerCase() : key,
        does,
      ]),
    );
    this.#ready = ready;
    this.#told = told;
    addEventListener("keydown", (event) => this.#down(event));
    addEventListener("keyup", (event) => this.#up(event));
    addEventListener("blur", () => this.#forget());
  }

  #down(event) {
    const key = nameOf(event),
      does = this.#bound.get(key);
    if (!does || modified(event) || typing(event) || dialogIsOpen() || !this.#ready()) return;
    if (key in NATIVE && event.target.closest?.(NATIVE[key])) return;
    event.preventDefault();
    const bounced = event.timeStamp - (this.#released_ms.get(key) ?? -Infinity) < BOUNCE_MS;
    if (event.repeat || bounced || this.#held.has(key)) return;
    this.#held.set(key, does.long ? setTimeout(() => this.#long(key, does), LONG_MS) : 0);
    this.#since_ms.set(key, event.timeStamp);
    const first = this.#waiting.get(key);
    if (first) {
      clearTimeout(first.timer);
      this.#waiting.delete(key);
      // A busy page has not heard its timer: these are two presses.
      if (event.timeStamp - first.at_ms >= DOUBLE_MS) does.press && this.#told(does.press);
      else {
        clearTimeout(this.#held.get(key));
        this.#held.set(key, 0);
        this.#told(does.double);
        return;
      }
    }
    if (!does.long) this.#pressed(key, does, event.timeStamp);
  }

  #up(event) {
    const key = nameOf(event),
      does = this.#bound.get(key);
    if (!this.#held.has(key)) return;
    const timer = this.#held.get(key);
    this.#held.delete(key);
    this.#released_ms.set(key, event.timeStamp);
    if (!timer) return;
    clearTimeout(timer);
    if (!this.#ready()) return;
    // A busy page hears of both late: what counts is how long the key was held.
    if (event.timeStamp - this.#since_ms.get(key) >= LONG_MS) this.#told(does.long);
    else this.#pressed(key, does, event.timeStamp);
  }

  #long(key, does, waited = false) {
    if (!waited && performance.now() - this.#since_ms.get(key) > LONG_MS + LATE_MS) {
      this.#held.set(
        key,
        setTimeout(() => this.#long(key, does, true), LATE_MS),
      );
      return;
    }
    this.#held.set(key, 0);
    if (this.#ready() && !dialogIsOpen()) this.#told(does.long);
  }

  #pressed(key, does, at_ms) {
    if (!does.double) return does.press && this.#told(does.press);
    const timer = setTimeout(() => {
      this.#waiting.delete(key);
      if (does.press && this.#ready()) this.#told(does.press);
    }, DOUBLE_MS);
    this.#waiting.set(key, { timer, at_ms });
  }

  #forget() {
    const waiting = [...this.#waiting.values()].map((press) => press.timer);
    for (const timer of [...this.#held.values(), ...waiting]) clearTimeout(timer);
    this.#held.clear();
    this.#waiting.clear();
  }
}
