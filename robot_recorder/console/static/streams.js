// Lamps of the streams: shape and colour for health, rate against declared; all of it on focus.

import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import { number, word } from "./words.js";

const MOST_TROUBLES = 3;
const LONGEST = 14; // letters of a name that a lamp has room for

let shown = null; // name of the stream whose details are shown
let newest = [];

const isBad = (stream) => stream.health !== "ok";
const SILENT = ["never", "unheard", "stale", "wrong_type"]; // nothing usable arrives
const worry = (stream) => (stream.required ? 2 : 0) + (SILENT.includes(stream.health) ? 1 : 0);

export function drawStreams(streams) {
  newest = streams;
  const bad = streams.filter(isBad).sort((a, b) => worry(b) - worry(a));
  const worth = bad.filter((stream) => stream.required || stream.remedy);
  drawTroubles(worth);
  keyed(find("#streams .lamps"), streams, (stream) => stream.name, makeLamp, fillLamp);
  const stream = streams.find(({ name }) => name === shown);
  if (stream) fillDetail(stream);
  else hideDetail();
}

function drawTroubles(bad) {
  const list = find("#streams .troubles"),
    more = bad.length - MOST_TROUBLES;
  const rows = more > 0 ? [...bad.slice(0, MOST_TROUBLES - 1), { name: "", more: more + 1 }] : bad;
  keyed(
    list,
    rows,
    (stream) => stream.name,
    () =>
      make(
        "li",
        {},
        make("span", { class: "icon", "aria-hidden": "true" }),
        make("p", { class: "data" }),
      ),
    (row, stream) => {
      setIcon(row.firstElementChild, stream.more ? "warning" : stream.health);
      setData(row, "required", stream.required ? "yes" : "no");
      const text = stream.more
        ? word("stream.more", { count: stream.more })
        : `${stream.name}: ${healthWord(stream)}. ${stream.remedy ?? ""}`;
      setText(row.lastElementChild, text);
    },
  );
  setHidden(list, rows.length === 0);
}

const healthWord = (stream) => word(`health.${stream.health}`);

function makeLamp(stream) {
  const show = () => {
    shown = stream.name;
    fillDetail(newest.find(({ name }) => name === shown) ?? stream);
  };
  return make(
    "li",
    {},
    make(
      "button",
      {
        type: "button",
        class: "lamp",
        "aria-describedby": "lamp-detail",
        focus: show,
        mouseenter: show,
        click: show,
        mouseleave: leave,
        blur: leave,
        keydown: (event) => event.key === "Escape" && leave(),
      },
      make("span", { class: "icon", "aria-hidden": "true" }),
      make("span", { class: "name data" }),
      make("span", { class: "rate" }),
    ),
  );
}

function leave() {
  shown = null;
  hideDetail();
}

function rateText(stream) {
  if (stream.health === "never" || stream.health === "unheard") return healthWord(stream);
  const rate = stream.rate_hz === null ? "" : number(stream.rate_hz, stream.rate_hz < 10 ? 1 : 0);
  if (stream.expected_hz)
    return word("stream.of", { rate: rate || "-", expected: number(stream.expected_hz) });
  return rate ? word("stream.hz", { rate }) : healthWord(stream);
}

/** A long name without its middle: beginnings and ends tell streams apart. */
const short = (name) =>
  name.length > LONGEST ? `${name.slice(0, LONGEST / 2)}…${name.slice(1 - LONGEST / 2)}` : name;

function fillLamp(item, stream) {
  const lamp = item.firstElementChild;
  setData(lamp, "stream", stream.name);
  setData(lamp, "health", stream.health);
  setData(lamp, "required", stream.required ? "yes" : "no");
  setIcon(find(".icon", lamp), stream.health);
  setText(find(".name", lamp), short(stream.name));
  setText(find(".rate", lamp), rateText(stream));
  const label = `${stream.name}: ${healthWord(stream)}, ${rateText(stream)}`;
  if (lamp.getAttribute("aria-label") !== label) lamp.setAttribute("aria-label", label);
}

function hideDetail() {
  setHidden(find("#lamp-detail"), true);
}

function fillDetail(stream) {
  const box = find("#lamp-detail");
  const lines = [
    [
      word("stream.health"),
      `${healthWord(stream)}${stream.required ? ` (${word("stream.required")})` : ""}`,
    ],
    [word("stream.topic"), stream.topic],
    [word("stream.rate"), rateText(stream)],
    [
      word("stream.age"),
      stream.age_s === null ? "-" : word("seconds", { value: number(stream.age_s, 2) }),
    ],
    [word("stream.lost"), stream.lost === null ? word("unknown") : number(stream.lost)],
    [
      word("stream.offset"),
      stream.clock_offset_s === null
        ? word("unknown")
        : word("milliseconds", { value: number(1000 * stream.clock_offset_s, 1) }),
    ],
    [word("stream.remedy"), stream.remedy],
  ].filter(([, value]) => value);
  if (box.dataset.key !== stream.name) box.replaceChildren();
  box.dataset.key = stream.name;
  keyed(
    box,
    lines,
    ([name]) => name,
    () => make("p", {}, make("span"), make("strong", { class: "data" })),
    (row, [name, value]) => {
      setText(row.firstElementChild, name);
      setText(row.lastElementChild, value);
    },
  );
  setHidden(box, false);
}
