// The clock of the take: counts between the server's states, and stands when they stop coming.

import { find, setData, setText } from "./dom.js";
import { link } from "./link.js";
import { clock, number, onLanguage, word } from "./words.js";

const EVERY_MS = 100; // as fine as what is shown

let base = null; // {seconds, at_ms, direction, kind, remaining_s}

export function startClock() {
  link.on("state", take);
  onLanguage(() => base && drawClock());
  link.on("link", drawClock);
  // a clock that stands costs nothing
  setInterval(
    () => base && base.direction !== 0 && !document.hidden && requestAnimationFrame(drawClock),
    EVERY_MS,
  );
}

function take(state) {
  const next = read(state);
  // while it runs, the small differences of what arrives earlier or later would make it jump
  if (
    base &&
    next &&
    base.kind === next.kind &&
    base.id === next.id &&
    next.direction > 0 &&
    Math.abs(at(base) - next.seconds) < 0.15
  )
    base.remaining_s = next.remaining_s;
  else base = next ?? base;
  if (!state.shift || state.shift.state === "idle") base = null;
  drawClock();
}

function read({ shift, recorder }) {
  if (!shift) return null;
  const at_ms = performance.now(),
    { remaining_s } = shift;
  if (shift.state === "recording")
    return {
      kind: "take",
      id: shift.episode_id,
      seconds: recorder?.duration_s ?? 0,
      at_ms,
      direction: 1,
      remaining_s,
    };
  if (remaining_s !== null && ["countdown", "reset"].includes(shift.state))
    return {
      kind: shift.state,
      id: "",
      seconds: remaining_s,
      at_ms,
      direction: -1,
      remaining_s: null,
    };
  if (base?.kind === "take")
    return {
      ...base,
      seconds: recorder?.duration_s || at(base),
      at_ms,
      direction: 0,
      kind: "last",
      remaining_s: null,
    };
  return base?.kind === "last"
    ? base
    : recorder?.duration_s && shift.episode_id
      ? {
          kind: "last",
          id: "",
          seconds: recorder.duration_s,
          at_ms,
          direction: 0,
          remaining_s: null,
        }
      : null;
}

/** What the clock shows at this moment. */
function at({ seconds, at_ms, direction }) {
  const alive = link.status === "ok" || link.status === "robot";
  const passed_s =
    direction === 0 ? 0 : Math.min((performance.now() - at_ms) / 1000, alive ? Infinity : 0);
  return Math.max(0, seconds + direction * passed_s);
}

function drawClock() {
  const face = find("#clock");
  setData(face, "clock", base?.kind ?? "none");
  if (link.status === "lost" || link.status === "connecting") return;
  setText(face, base ? (base.direction < 0 ? String(Math.ceil(at(base))) : clock(at(base))) : "");
  const left = base?.remaining_s;
  setText(
    find("#clock-of"),
    base?.kind === "take" && left !== null && left !== undefined && left < 30
      ? word("operate.longest", { seconds: number(left) })
      : base
        ? word(`clock.${base.kind}`)
        : "",
  );
}
