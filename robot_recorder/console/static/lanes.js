// One line per take on a common time axis: how fast its joints were, where it paused, its phases.

import { all, make } from "./dom.js";
import { number, word } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const HIGH = 100;

const share = (at_s, of_s) => `${(100 * Math.min(Math.max(0, at_s), of_s)) / of_s}%`;

/** Make the line of a take; the axis is `length_s` long. */
export function lane(name, take, length_s) {
  const { score, duration_s } = take,
    motion = score?.motion ?? null,
    whole_s = Math.max(duration_s, 1e-3);
  const box = make("span", { class: "take" });
  box.style.width = share(duration_s, length_s);
  if (motion)
    box.append(curve(motion, whole_s), ...motion.pauses.map((pause) => block(pause, whole_s)));
  for (const one of score?.phases ?? []) box.append(phase(one, whole_s));
  const stood_s = motion?.pauses.reduce((sum, [from_s, to_s]) => sum + to_s - from_s, 0) ?? null;
  const stood =
    stood_s === null
      ? word("unknown")
      : `${word("training.pause")} ${word("training.seconds", { value: number(stood_s, 1) })}`;
  return make(
    "div",
    { class: "lane", role: "img", "aria-label": `${word("training.lane", { name })}: ${stood}` },
    make("span", { class: "name", text: name }),
    make("span", { class: "axis" }, box, make("span", { class: "now" })),
    make("span", { class: "stood", text: stood, data: { stood: stood_s > 0 ? "yes" : "no" } }),
  );
}

/** Show the time, 0 to 1 of the axis, in all lines. */
export function moveLanes(holder, at) {
  for (const now of all(".now", holder)) now.style.left = `${100 * Math.min(1, Math.max(0, at))}%`;
}

function curve({ speeds, step_s }, whole_s) {
  const most = Math.max(1e-6, ...speeds);
  const svg = document.createElementNS(SVG, "svg"),
    area = document.createElementNS(SVG, "polygon");
  svg.setAttribute("viewBox", `0 0 ${whole_s} ${HIGH}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const points = speeds.map(
    (speed, i) => `${(i + 0.5) * step_s},${HIGH - (HIGH * 0.92 * speed) / most}`,
  );
  area.setAttribute("points", `0,${HIGH} ${points.join(" ")} ${speeds.length * step_s},${HIGH}`);
  area.setAttribute("class", "speed");
  svg.append(area);
  return svg;
}

function block([from_s, to_s], whole_s) {
  const pause = make("span", { class: "pause" });
  pause.style.left = share(from_s, whole_s);
  pause.style.width = share(to_s - from_s, whole_s);
  return pause;
}

function phase({ name, from_s }, whole_s) {
  const line = make("span", { class: "phase data", text: name.replaceAll("_", " ") });
  line.style.left = share(from_s, whole_s);
  return line;
}
