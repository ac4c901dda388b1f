// A line of a number by day, small enough for a row of a table.

import { word } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 240;
const HEIGHT = 48;
const EDGE = 4;

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/**
 * Draw {day, value} points; days that are missing leave their room, a value of null a gap.
 *
 * `low` and `high` fix the range; `text` writes a value.
 */
export function sparkline(holder, { points, label, low, high, text }) {
  const drawn = JSON.stringify([points, low, high, label]);
  if (holder.dataset.drawn === drawn) return;
  holder.dataset.drawn = drawn;
  const known = points.filter(({ value }) => value !== null && Number.isFinite(value));
  const values = known.map(({ value }) => value),
    least = low ?? Math.min(...values),
    most = high ?? Math.max(...values),
    room = most - least || 1;
  const told = known.length
    ? word("trends.chart", {
        name: label,
        from: text(Math.min(...values)),
        to: text(Math.max(...values)),
        now: text(values.at(-1)),
      })
    : `${label}: -`;
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": told,
    preserveAspectRatio: "none",
  });
  if (known.length) {
    const first = Date.parse(points[0].day),
      days = Math.max(1, (Date.parse(points.at(-1).day) - first) / 86400000);
    const x = (day) => EDGE + ((WIDTH - 2 * EDGE) * (Date.parse(day) - first)) / 86400000 / days,
      y = (value) => HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * (value - least)) / room;
    let path = "",
      pen = false;
    for (const { day, value } of points) {
      if (value === null || !Number.isFinite(value)) pen = false;
      else {
        path += `${pen ? "L" : "M"}${x(day).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = true;
      }
    }
    const last = known.at(-1);
    svg.append(
      shape("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1, class: "floor" }),
      shape("path", { d: path, class: "line" }),
      // a line of no length with round ends is round however the drawing is stretched
      shape("path", {
        d: `M${x(last.day).toFixed(1)} ${y(last.value).toFixed(1)}h0`,
        class: "last",
      }),
    );
  }
  holder.replaceChildren(svg);
}
