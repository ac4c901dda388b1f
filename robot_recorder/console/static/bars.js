// Bars of force and touch, the room on the disk, and the alarms of the station agent.

import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import { bytes, number, word } from "./words.js";

const FULL = 0.9; // share of the most that is shown as too much
const FEW = 20; // episodes left, below which the disk is called low

export function drawBars(bars) {
  keyed(find("#bars .list"), bars, (bar) => bar.name, make_, fill_);
}

function make_(bar) {
  return make(
    "div",
    { class: "bar", data: { bar: bar.name } },
    make("span", { class: "name data", text: bar.name }),
    make(
      "div",
      { class: "track", role: "meter", "aria-valuemin": "0", "aria-label": bar.name },
      make("div"),
    ),
    make("span", { class: "value" }),
  );
}

function fill_(row, bar) {
  const [, track, value] = row.children;
  const known = Number.isFinite(bar.value),
    share = known && bar.most > 0 ? Math.min(1, Math.max(0, bar.value / bar.most)) : 0;
  track.setAttribute("aria-valuemax", String(bar.most));
  track.setAttribute(
    "aria-valuenow",
    known ? String(Math.min(bar.most, Math.max(0, bar.value))) : "0",
  );
  const text = known ? `${number(bar.value, bar.most < 10 ? 2 : 0)} ${bar.unit}`.trim() : "-";
  track.setAttribute("aria-valuetext", known ? text : word("unknown"));
  track.firstElementChild.style.transform = `scaleX(${share})`;
  setData(row, "full", share >= FULL ? "yes" : "no");
  setData(row, "kind", bar.kind);
  setText(value, text);
}

export function drawDisk(recorder) {
  const box = find("#disk"),
    left = recorder?.episodes_left;
  setHidden(box, !recorder);
  if (!recorder) return;
  const known = left !== null && left !== undefined,
    low = known && left < FEW;
  setData(box, "disk", !known ? "unknown" : left === 0 ? "full" : low ? "low" : "ok");
  setIcon(find(".icon", box), low ? "warning" : "disk");
  setText(
    find(".text", box),
    known
      ? word(left === 0 ? "disk.full" : "disk.left", { count: number(left) })
      : word("disk.free", { free: bytes(recorder.disk_free_bytes) }),
  );
}

/** Alarms of the agent that sends episodes away; without one there is nothing to say. */
export function drawAgent(alarms) {
  const box = find("#agent"),
    none = !alarms?.length;
  setHidden(box, none);
  if (none) return;
  setIcon(find(".icon", box), "warning");
  const more = alarms.length > 1 ? ` (+${number(alarms.length - 1)})` : "";
  setText(find(".text", box), alarms[0] + more);
  box.title = alarms.join("\n");
}
