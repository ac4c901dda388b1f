// Keeps the screen on while a shift is going on, where the browser can.

import { link } from "./link.js";

let lock = null;
let asking = false;

export function keepAwake() {
  if (!("wakeLock" in navigator)) return;
  link.on("state", follow);
  document.addEventListener("visibilitychange", () => link.state && follow(link.state));
}

async function follow({ shift }) {
  const wanted = !document.hidden && Boolean(shift) && shift.state !== "idle";
  if (wanted === Boolean(lock) || asking) return;
  asking = true;
  try {
    if (wanted) {
      lock = await navigator.wakeLock.request("screen");
      lock.addEventListener("release", () => {
        lock = null;
      });
    } else await lock.release();
  } catch {
    /* a low battery may forbid it */
  }
  asking = false;
}
