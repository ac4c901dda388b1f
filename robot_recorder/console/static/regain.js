// The buttons of a page that was away for a moment, by a reload or a lost connection. The server
// keeps them for its old connection for some seconds; the page waits until they are free, and takes
// nothing from anybody.

import { post } from "./api.js";
import { link } from "./link.js";

const WAIT_MS = 5000; // longer than the server keeps them
const KEY = "console.held_ms";

let held = false; // in the last state that was heard
let since_ms = 0; // of the wait; 0: none
let asked = false;

/** Whether the page waits for its own buttons. */
export const regains = () => since_ms > 0;

export function setUpRegain() {
  held = heldBeforeReload();
  addEventListener("pagehide", () => held && remember());
  link.on("hello", () => {
    since_ms = held ? performance.now() : 0;
    asked = false;
  });
  link.on("state", follow);
}

function follow({ holder }) {
  if (holder?.me || performance.now() - since_ms > WAIT_MS) since_ms = 0;
  if (since_ms === 0) held = Boolean(holder?.me);
  else if (!holder && !asked) {
    asked = true;
    post("/api/hold", { take: true }, 5000).catch(() => {});
  }
}

function remember() {
  try {
    sessionStorage.setItem(KEY, String(Date.now()));
  } catch {
    /* then they are taken by the next press */
  }
}

function heldBeforeReload() {
  try {
    const at_ms = Number(sessionStorage.getItem(KEY));
    sessionStorage.removeItem(KEY);
    return Date.now() - at_ms < WAIT_MS;
  } catch {
    return false;
  }
}
