// The last takes of an operator as a curve of scores towards the level of the reference.

import { keyed, make, setData } from "./dom.js";
import { setIcon } from "./icons.js";
import { dateAndTime, number, word } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const APART_PX = 27; // as far as a finger needs
const WIDE_PX = 54; // where there is room
const TOP = 17; // percent of the height above 100 and below 0
const UNKNOWN = 0; // where a take without a score lies

const high = (percent) =>
  100 - TOP - ((100 - 2 * TOP) * Math.min(100, Math.max(0, percent ?? UNKNOWN))) / 100;

/** @param takes oldest first; `level`: percent; `chosen`: the take that is shown; `choose` hears an id */
export function drawProgress(holder, takes, { level, chosen, choose }) {
  const across = (i) => (100 * (i + 0.5)) / takes.length;
  if (!holder.firstChild)
    holder.append(
      make("div", { class: "level" }),
      make("div", { class: "points" }, curve(), make("div", { class: "dots" })),
    );
  const [goal, box] = holder.children,
    [svg, points] = box.children,
    way = svg.firstChild;
  goal.style.top = `${high(level)}%`;
  box.style.minWidth = `${takes.length * APART_PX}px`;
  box.style.width = `${takes.length * WIDE_PX}px`;
  const known = takes
    .map(({ percent }, i) => [i, percent])
    .filter(([, percent]) => percent !== null);
  way.setAttribute(
    "points",
    known.map(([i, percent]) => `${across(i)},${high(percent)}`).join(" "),
  );
  keyed(
    points,
    takes.map((take, i) => ({ take, i })),
    ({ take }) => take.id,
    ({ take }) =>
      make("button", {
        type: "button",
        class: "point",
        data: { episode: take.id },
        click: () => choose(take.id),
      }),
    (button, { take, i }) => {
      const reached = take.good && take.percent !== null && take.percent >= level;
      button.style.left = `${across(i)}%`;
      button.style.top = `${high(take.percent)}%`;
      setData(button, "reached", reached ? "yes" : "no");
      setData(button, "outcome", take.outcome);
      setData(button, "verdict", take.verdict);
      button.setAttribute("aria-pressed", String(take.id === chosen));
      setIcon(button, shapeOf(take, reached));
      const text = word("training.point", {
        when: take.start_s === null ? take.id : dateAndTime(take.start_s),
        value:
          take.percent === null
            ? word("unknown")
            : word("training.percent", { value: number(Math.floor(take.percent)) }),
        outcome: word(`outcome.${take.outcome}`),
        verdict: word(`verdict.${take.verdict}`),
      });
      button.setAttribute("aria-label", text);
      button.title = text;
    },
  );
}

function shapeOf({ outcome, verdict, percent }, reached) {
  if (reached) return "accept";
  if (outcome === "failure" || verdict === "reject") return "failure";
  return percent === null ? "unknown" : "ok";
}

function curve() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const way = document.createElementNS(SVG, "polyline");
  way.setAttribute("class", "way");
  svg.append(way);
  return svg;
}
