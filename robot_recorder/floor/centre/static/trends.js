// Trends: what rejects most, and what drifts, with alarms.

import { get } from "./api.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import { sparkline } from "./sparkline.js";
import { number, percent, readable, word } from "./words.js";

const FRESH_MS = 60000;
const MOST_CARDS = 60;
const MOST_REASONS = 3;

let active = false;
let timer = 0;
let asked = 0;
let alarms = [];

export function setUp() {
  find("#trend-choice").addEventListener("change", read);
  find("#trend-choice").addEventListener("submit", (event) => {
    event.preventDefault();
    read();
  });
}

export function enter() {
  active = true;
  read();
}

export function leave() {
  active = false;
  clearTimeout(timer);
}

async function read() {
  clearTimeout(timer);
  const mine = ++asked,
    form = find("#trend-choice").elements,
    where = Object.fromEntries(
      ["site", "robot"].map((name) => [name, form[name].value.trim()]).filter(([, value]) => value),
    ),
    days = form.days.value;
  const ask = (path, values) =>
    get(`${path}?${new URLSearchParams({ ...values })}`).catch((error) => ({
      problem: error.message,
    }));
  const [warned, rates, drift] = await Promise.all([
    ask("/api/trends/alarms", { days: 28 }),
    ask("/api/trends", { side: form.side.value, days, ...where }),
    ask("/api/trends/drift", { kind: form.kind.value, days, ...where }),
  ]);
  if (mine !== asked || !active) return;
  const problem = warned.problem ?? rates.problem ?? drift.problem ?? "";
  setText(find("#trends-message"), problem);
  setHidden(find("#trends-message"), !problem);
  alarms = warned.alarms ?? [];
  drawAlarms();
  drawRates(rates.rows ?? [], form.side.value);
  drawDrift(drift.lines ?? [], form.kind.value);
  timer = setTimeout(read, FRESH_MS);
}

function drawAlarms() {
  setHidden(find("#no-trend-alarms"), alarms.length > 0);
  setText(find("#trend-alarm-count"), number(alarms.length));
  keyed(
    find("#trend-alarms"),
    alarms.map((one, i) => ({ ...one, i })),
    ({ i }) => i,
    () =>
      make(
        "li",
        {},
        make("span", { class: "icon", "aria-hidden": "true" }),
        make("span", { class: "data" }),
        make("small", { class: "data" }),
      ),
    (element, { sentence, since, site }) => {
      setIcon(element.firstElementChild, "warning");
      setText(element.children[1], sentence);
      setText(
        element.children[2],
        [site, since ? word("trends.since", { day: since }) : ""].filter(Boolean).join(" · "),
      );
    },
  );
}

const alarmFor = (kind, name, stream) =>
  alarms.some(
    (one) => one.kind === kind && one.name === name && (one.stream || "") === (stream || ""),
  );

function drawRates(rows, side) {
  const sorted = [...rows]
    .sort((a, b) => (b.reject_rate ?? -1) - (a.reject_rate ?? -1))
    .slice(0, MOST_CARDS);
  setHidden(find("#no-rates"), sorted.length > 0);
  setHidden(find("#rates"), sorted.length === 0);
  setText(find("#rates-name"), word(`trends.side.${side}`));
  keyed(
    find("#rates tbody"),
    sorted,
    ({ site, name }) => `${site}/${name}`,
    () =>
      make(
        "tr",
        {},
        make("th", { scope: "row", class: "data" }),
        make("td", { class: "spark" }),
        make("td", { class: "number" }),
        make("td", { class: "number" }),
        make("td", { class: "data reasons" }),
      ),
    (row, one) => {
      const [name, spark, rate, count, why] = row.children;
      setText(
        name,
        [one.name || word("episode.lost_unknown"), one.site].filter(Boolean).join(" · "),
      );
      setData(row, "alarm", alarmFor("reject_rate", one.name) ? "yes" : "no");
      const points = (one.by_day ?? []).map(({ day, episodes, reject }) => ({
        day,
        value: episodes ? reject / episodes : null,
      }));
      sparkline(spark, {
        points,
        label: word("trends.reject_of", { name: one.name }),
        low: 0,
        high: Math.max(0.1, ...points.map(({ value }) => value ?? 0)),
        text: percent,
      });
      setText(
        rate,
        one.reject_rate === null
          ? "-"
          : `${percent(one.reject_rate)}${Number.isFinite(one.low) ? ` (${percent(one.low)} – ${percent(one.high)})` : ""}`,
      );
      setText(count, number(one.episodes));
      const reasons = Object.entries(one.reasons ?? {})
        .sort(([, a], [, b]) => b - a)
        .slice(0, MOST_REASONS);
      setText(why, reasons.map(([reason, times]) => `${readable(reason)} ${times}`).join(", "));
    },
  );
}

function drawDrift(lines, kind) {
  const sorted = lines
    .map((line) => ({ ...line, alarm: alarmFor(kind, line.robot, line.stream) }))
    .sort(
      (a, b) =>
        b.alarm - a.alarm || Math.abs(b.slope_per_day ?? 0) - Math.abs(a.slope_per_day ?? 0),
    )
    .slice(0, MOST_CARDS);
  setHidden(find("#no-drift"), sorted.length > 0);
  keyed(
    find("#drift"),
    sorted,
    ({ site, robot, stream }) => `${site}/${robot}/${stream}`,
    () =>
      make(
        "li",
        { class: "card" },
        make(
          "p",
          { class: "row" },
          make("strong", { class: "data" }),
          make(
            "span",
            { class: "badge" },
            make("span", { class: "icon", "aria-hidden": "true" }),
            make("span", { class: "text", text: word("trends.alarm") }),
          ),
        ),
        make("small", { class: "data" }),
        make("div", { class: "spark" }),
        make(
          "p",
          { class: "row" },
          make("span", { class: "now" }),
          make("small", { class: "slope" }),
        ),
      ),
    (card, line) => {
      const [head, stream, spark, foot] = card.children;
      setText(head.firstElementChild, line.robot);
      setHidden(head.lastElementChild, !line.alarm);
      setIcon(head.lastElementChild.firstElementChild, "warning");
      setData(card, "alarm", line.alarm ? "yes" : "no");
      setText(stream, [line.site, readable(line.stream)].filter(Boolean).join(" · "));
      const points = line.points.map(({ day, mean }) => ({ day, value: mean }));
      const text = (value) => `${number(value, digits(points))}${line.unit ? ` ${line.unit}` : ""}`;
      sparkline(spark, {
        points,
        label: `${line.robot} ${readable(line.stream)} ${word(`trends.kind.${kind}`)}`,
        text,
      });
      const last = points.findLast(({ value }) => value !== null);
      setText(foot.firstElementChild, last ? text(last.value) : "-");
      setText(
        foot.lastElementChild,
        Number.isFinite(line.slope_per_day)
          ? word("trends.slope", {
              slope: `${line.slope_per_day > 0 ? "+" : ""}${number(line.slope_per_day, 3)}`,
              unit: line.unit ?? "",
            })
          : "",
      );
    },
  );
}

function digits(points) {
  const most = Math.max(0, ...points.map(({ value }) => Math.abs(value ?? 0)));
  return most >= 100 ? 0 : most >= 10 ? 1 : 2;
}
