// Charts of a few numbers, drawn as SVG and as bars beside their numbers.

import { keyed, make, setData, setText } from "./dom.js";
import { number } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 150;
const WIDTH = 620;
const WIDEST = 64; // of a column with its space

function shape(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Columns from the left, {name, value}; the numbers are in its label too. */
export function columns(holder, items, label) {
  const drawn = JSON.stringify([items, label]);
  if (holder.dataset.drawn === drawn) return;
  holder.dataset.drawn = drawn;
  const most = Math.max(1, ...items.map(({ value }) => value)),
    step = Math.min(WIDEST, WIDTH / Math.max(1, items.length));
  const told = items.map(({ name, value }) => `${name} ${number(value)}`).join(", ");
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT + 44}`,
    role: "img",
    class: "columns",
    preserveAspectRatio: "xMinYMid meet",
    "aria-label": `${label}: ${told || "-"}`,
  });
  items.forEach(({ name, value }, i) => {
    const height = (HEIGHT * value) / most,
      x = i * step + step / 8,
      middle = (i + 0.5) * step;
    svg.append(
      shape("rect", {
        x,
        y: 20 + HEIGHT - height,
        width: (3 * step) / 4,
        height,
        rx: 3,
        class: "column",
      }),
      shape("text", { x: middle, y: 14 + HEIGHT - height, class: "value" }, number(value)),
      shape("text", { x: middle, y: HEIGHT + 38, class: "name" }, name),
    );
  });
  svg.append(shape("line", { x1: 0, x2: WIDTH, y1: HEIGHT + 20, y2: HEIGHT + 20, class: "floor" }));
  holder.replaceChildren(svg);
}

/** Rows {name, detail, value, most, text} with a bar; `most` is a target, or none. */
export function rows(holder, items, none) {
  const largest = Math.max(1, ...items.map(({ value }) => value));
  const shown = items.length
    ? items
    : [{ name: none, detail: "", value: 0, text: "", empty: true }];
  keyed(
    holder,
    shown,
    ({ name }) => name,
    () =>
      make(
        "div",
        { class: "bar-row" },
        make("span", { class: "name data" }),
        make("span", { class: "value" }),
        make("span", { class: "track", "aria-hidden": "true" }, make("span")),
        make("small", { class: "data" }),
      ),
    (row, item) => {
      const [name, value, track, detail] = row.children;
      setText(name, item.name);
      setText(value, item.text);
      setText(detail, item.detail);
      setData(row, "reached", item.most && item.value >= item.most ? "yes" : "no");
      track.hidden = Boolean(item.empty);
      const share = Math.min(1, item.value / (item.most ?? largest));
      track.firstElementChild.style.width = `${100 * share}%`;
    },
  );
}
