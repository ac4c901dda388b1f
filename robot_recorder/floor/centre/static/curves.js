// Curves of a take: one strip a group of values, on the time axis of the film.

import { make } from "./dom.js";
import { number, readable } from "./words.js";

const COLOURS = [
  "#79b8ff",
  "#ffd866",
  "#56d364",
  "#ff8b84",
  "#d2a8ff",
  "#5ad4e6",
  "#f2b53d",
  "#c9d1d9",
];
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000; // of the drawing, in its own units; it is stretched
const HEIGHT = 100;
const NAMED = 4; // values that the caption names

/** Draw the groups into a holder; `share` places a time on the axis. */
export function drawCurves(holder, groups, share) {
  holder.replaceChildren(...groups.map((group) => strip(group, share)));
}

function strip(group, share) {
  const known = group.values.flat().filter((value) => value !== null);
  const low = Math.min(...known),
    high = Math.max(...known),
    text = known.length
      ? `${number(low, digits(high - low))} … ${number(high, digits(high - low))} ${group.unit ?? ""}`
      : "-";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${readable(group.stream)} ${readable(group.name)}: ${text}`);
  const room = high - low || 1,
    least = high > low ? low : low - room / 2; // what does not change lies in the middle
  group.values.forEach((values, i) => {
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", pathOf(values, group.times_s, share, least, room));
    line.setAttribute("stroke", COLOURS[i % COLOURS.length]);
    svg.append(line);
  });
  const rest = group.items.length - NAMED + (group.left_out ?? 0);
  const names = group.items.slice(0, NAMED).map((name, i) => {
    const one = make("span", { class: "data", text: readable(name) });
    one.style.setProperty("--colour", COLOURS[i % COLOURS.length]);
    return one;
  });
  return make(
    "div",
    { class: "strip" },
    make(
      "p",
      { class: "caption" },
      make("strong", {
        class: "data",
        text: `${readable(group.stream)} · ${readable(group.name)}`,
      }),
      make("span", { class: "names" }, ...names, rest > 0 ? `+${rest}` : null),
      make("span", { class: "range", text }),
    ),
    svg,
  );
}

const digits = (range) => (range >= 50 ? 0 : range >= 5 ? 1 : range >= 0.5 ? 2 : 3);

function pathOf(values, times_s, share, low, room) {
  let path = "",
    pen = false;
  values.forEach((value, i) => {
    if (value === null) {
      pen = false; // a gap stays a gap
      return;
    }
    const x = WIDTH * share(times_s[i]),
      y = HEIGHT - 4 - ((HEIGHT - 8) * (value - low)) / room;
    path += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return path;
}
