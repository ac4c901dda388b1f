// The wall: one tile a robot, grouped by site, all of them on one screen.

import { get, post } from "./api.js";
import { open } from "./dialog.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import { link } from "./link.js";
import { bytes, number, percent, readable, room, span, word } from "./words.js";

const TODAY_MS = 5000; // between two questions for today's numbers
const MOST_ALARMS = 3; // shown below the tiles; the others are counted
const LOW_S = 6 * 3600; // a disk that is full sooner is low
const FULL_S = 2 * 3600;
const TILE_PX = { roomy: 250, normal: 205, dense: 168 }; // least width of a tile
const ACROSS = [1, 2, 3]; // large sites beside each other
const SHAPES = {
  recording: "recording",
  idle: "idle",
  finalising: "countdown",
  unknown: "unknown",
  vanished: "unheard",
};

let robots = new Map(); // by "site/robot"
let alarms = []; // of robots, and of the centre with a kind
let me = null;
let laid = ""; // what the layout was last made for
let active = false;
let timer = 0;
let detail = null; // {key, dialog}

export function setUp(who) {
  me = who;
  find("#all-alarms").addEventListener("click", openAlarms);
  link.on("state", take);
  addEventListener("resize", () => active && layOut(true));
}

export function enter() {
  active = true;
  draw();
  today();
}

export function leave() {
  active = false;
  clearTimeout(timer);
}

const keyOf = ({ site, robot }) => `${site}/${robot}`;

/** The first state of a connection brings all robots and alarms, the next ones what has changed. */
function take(state) {
  alarms = state.alarms ?? alarms;
  if (state.robots) robots = new Map();
  for (const one of state.robots ?? state.changed ?? [])
    robots.set(keyOf(one), { ...one, at_ms: performance.now() });
  for (const [site, robot] of state.gone ?? []) robots.delete(keyOf({ site, robot }));
  if (active) draw();
}

/** For how long a robot was not heard, s; null: it never was. */
const silence = ({ heard_s, at_ms }) =>
  Number.isFinite(heard_s) ? heard_s + (performance.now() - at_ms) / 1000 : null;

function sites() {
  const found = new Map();
  const order = (a, b) => keyOf(a).localeCompare(keyOf(b), "en", { numeric: true });
  for (const one of [...robots.values()].sort(order)) {
    if (!found.has(one.site)) found.set(one.site, []);
    found.get(one.site).push(one);
  }
  return [...found].map(([site, own]) => ({ site, own }));
}

const stateOf = (one) =>
  one.vanished ? "vanished" : one.status?.state in SHAPES ? one.status.state : "unknown";

function draw() {
  const groups = sites();
  setHidden(find("#wall-none"), groups.length > 0 || link.status !== "ok");
  keyed(find("#wall-sites"), groups, ({ site }) => site, makeSite, fillSite);
  layOut(false);
  drawTotals();
  drawAlarms();
  if (detail?.dialog.open) fillDetail();
}

// -- tiles

const iconAndText = (name) =>
  make(
    "span",
    { class: name },
    make("span", { class: "icon", "aria-hidden": "true" }),
    make("span", { class: "text data" }),
    make("span", { class: "unseen" }),
  );

function makeSite({ site }) {
  return make(
    "section",
    { class: "site", "aria-label": site },
    make("h2", {}, make("span", { class: "data", text: site }), make("small")),
    make("ul", { class: "tiles" }),
  );
}

function fillSite(element, { own }) {
  const count = (state) => own.filter((one) => stateOf(one) === state).length;
  const values = { count: own.length, recording: count("recording"), vanished: count("vanished") };
  setText(find("small", element), word(own.length === 1 ? "wall.site_one" : "wall.site", values));
  keyed(find(".tiles", element), own, keyOf, makeTile, fillTile);
}

function makeTile(one) {
  const button = make(
    "button",
    { type: "button", class: "tile", click: () => openDetail(keyOf(one)) },
    make("span", { class: "lamp icon", "aria-hidden": "true" }),
    make(
      "span",
      { class: "head" },
      make("strong", { class: "name data" }),
      make("span", { class: "state" }),
    ),
    make(
      "span",
      { class: "work" },
      make("span", { class: "task data" }),
      make("span", { class: "count" }),
    ),
    make("span", { class: "bar", "aria-hidden": "true" }, make("span")),
    make("span", { class: "marks" }, ...["alarm", "limping", "disk", "waiting"].map(iconAndText)),
  );
  return make("li", {}, button);
}

/** `means` is what a number stands for, where its icon alone says it to eyes. */
function mark(tile, name, shape, text, level, means = "") {
  const element = find(`.${name}`, tile);
  setHidden(element, text === "");
  if (text === "") return;
  setData(element, "level", level);
  setIcon(element.firstElementChild, shape);
  setText(element.children[1], text);
  setText(element.children[2], means);
}

function fillTile(item, one) {
  const tile = item.firstElementChild,
    status = one.status ?? {},
    state = stateOf(one);
  setData(tile, "state", state);
  setIcon(find(".lamp", tile), SHAPES[state]);
  setText(find(".name", tile), one.robot);
  setText(find(".state", tile), word(`wall.state.${state}`));
  const silent_s = silence(one),
    silent = silent_s === null ? word("wall.never") : word("wall.silent", { span: span(silent_s) });
  setText(
    find(".task", tile),
    state === "vanished" ? silent : readable(status.task) || word("wall.no_task"),
  );
  const known = Number.isFinite(status.taken) && state !== "vanished";
  setText(
    find(".count", tile),
    known
      ? word("wall.count", {
          taken: number(status.taken),
          target: status.target ? number(status.target) : "",
        })
      : "",
  );
  const share = known && status.target ? Math.min(1, status.taken / status.target) : 0;
  setHidden(find(".bar", tile), !share);
  find(".bar > span", tile).style.transform = `scaleX(${share})`;
  fillMarks(tile, status);
}

function fillMarks(tile, status) {
  const alarms = status.alarms?.length ?? 0,
    limping = status.streams?.length ?? 0,
    left_s = status.disk_full_in_s;
  const low = Number.isFinite(left_s)
    ? left_s < FULL_S
      ? "bad"
      : left_s < LOW_S
        ? "maybe"
        : "calm"
    : "calm";
  mark(tile, "alarm", "warning", alarms ? number(alarms) : "", "bad", word("wall.alarms"));
  mark(tile, "limping", "slow", limping ? number(limping) : "", "maybe", word("wall.limping"));
  mark(tile, "disk", "disk", room(status), low);
  const waiting = status.waiting_episodes ? number(status.waiting_episodes) : "";
  mark(tile, "waiting", "upload", waiting, "calm", word("wall.waiting"));
}

// -- all tiles on one screen

/** Choose the largest tiles with which every robot is on the screen. */
function layOut(anyway) {
  const groups = [...robots.values()].reduce(
    (all, { site }) => all.set(site, (all.get(site) ?? 0) + 1),
    new Map(),
  );
  const sizes = `${innerWidth}x${innerHeight} ${[...groups].join(" ")} ${find("#wall-alarms").hidden}`;
  if (!anyway && sizes === laid) return;
  laid = sizes;
  const holder = find("#wall-sites"),
    width = holder.clientWidth;
  let lowest = { height: Infinity };
  for (const size of Object.keys(TILE_PX)) {
    const most = Math.max(1, Math.floor(width / TILE_PX[size]));
    for (const across of ACROSS)
      for (let columns = most; columns >= Math.max(1, most - 2); columns--) {
        spread(holder, size, columns, across, groups);
        const height = holder.scrollHeight;
        if (height <= holder.clientHeight + 1) return;
        if (height < lowest.height) lowest = { height, size, columns, across };
      }
  }
  // too small a screen: the least to scroll
  spread(holder, lowest.size, lowest.columns, lowest.across, groups);
}

/** Give the page so many columns, and each site at most its share of them. */
function spread(holder, size, columns, across, groups) {
  const most = Math.max(1, Math.floor(columns / across));
  setData(holder, "size", size);
  holder.style.setProperty("--columns", columns);
  for (const element of holder.children)
    element.style.setProperty("--own", Math.min(most, groups.get(element.dataset.key) ?? 1));
}

// -- totals and alarms

let day = null;

async function today() {
  clearTimeout(timer);
  try {
    day = await get("/api/today");
  } catch {
    day = null; // unknown is shown as unknown
  }
  if (!active) return;
  drawTotals();
  timer = setTimeout(today, TODAY_MS);
}

function drawTotals() {
  const all = [...robots.values()],
    heard = link.status === "ok" || all.length > 0;
  const sum = (field) => {
    const known = all.map(({ status }) => status?.[field]).filter(Number.isFinite);
    return known.length ? known.reduce((total, value) => total + value, 0) : null; // nobody says: unknown
  };
  const recording = all.filter((one) => stateOf(one) === "recording").length,
    vanished = all.filter((one) => one.vanished).length,
    shown = shownAlarms();
  const totals = [
    [
      "recording",
      "recording",
      heard ? number(recording) : "-",
      { count: all.length },
      recording ? "live" : "calm",
    ],
    ["vanished", "unheard", heard ? number(vanished) : "-", {}, vanished ? "bad" : "calm"],
    [
      "alarms",
      "warning",
      heard ? number(shown.length) : "-",
      { count: new Set(shown.map(keyOf)).size },
      shown.length ? "bad" : "calm",
    ],
    [
      "episodes",
      "done",
      number(day?.episodes),
      { hours: day ? number(day.seconds / 3600, 1) : "" },
      "calm",
    ],
    [
      "success",
      "success",
      percent(day?.success_rate),
      { count: day ? number(day.labelled) : "" },
      "calm",
    ],
    [
      "waiting",
      "upload",
      heard ? bytes(sum("waiting_bytes")) : "-",
      { count: sum("waiting_episodes") === null ? "" : number(sum("waiting_episodes")) },
      "calm",
    ],
  ];
  keyed(
    find("#wall-totals"),
    totals,
    ([name]) => name,
    makeTotal,
    (element, [name, shape, value, values, level]) => {
      setData(element, "level", level);
      setIcon(find(".icon", element), shape);
      setText(find("dd", element), value);
      setText(find("dt", element), word(`wall.total.${name}`));
      setText(find("small", element), word(`wall.total.${name}_of`, values));
    },
  );
}

const makeTotal = () =>
  make(
    "div",
    { class: "total" },
    make("dt"),
    make("dd"),
    make(
      "dd",
      { class: "of" },
      make("span", { class: "icon", "aria-hidden": "true" }),
      make("small"),
    ),
  );

/** Alarms of robots and of the centre; a vanished robot has a number and a tile of its own. */
const shownAlarms = () => alarms.filter((one) => !robots.get(keyOf(one))?.vanished || one.kind || one.trend);

/** An alarm may be about no robot: a trend of an operator is not. */
const whose = ({ site, robot }) => [site, robot].filter(Boolean).join("/");

function drawAlarms() {
  const found = shownAlarms(),
    shown = found.slice(0, MOST_ALARMS).map((one, i) => ({ ...one, i }));
  const box = find("#wall-alarms"),
    hidden = found.length === 0;
  if (box.hidden !== hidden) {
    setHidden(box, hidden);
    layOut(true);
  }
  keyed(
    find("ul", box),
    shown,
    ({ i }) => i,
    () =>
      make(
        "li",
        {},
        make("span", { class: "icon", "aria-hidden": "true" }),
        make("strong", { class: "data" }),
        make("span", { class: "data" }),
      ),
    (element, one) => {
      setIcon(element.children[0], "warning");
      setText(element.children[1], whose(one));
      setText(element.children[2], one.text);
    },
  );
  const rest = found.length - shown.length;
  setText(
    find("#all-alarms"),
    rest ? word("wall.more_alarms", { count: rest }) : word("wall.all_alarms"),
  );
}

/** All alarms; those of the centre stand until somebody says that they have seen them. */
function openAlarms() {
  const refused = make("p", { class: "refused data", role: "alert" });
  const row = (one) => {
    const seen = make("button", {
      type: "button",
      text: word("wall.alarm_seen"),
      click: () => clear(one, seen, refused),
    });
    return make(
      "li",
      {},
      make(
        "span",
        {},
        make("strong", { class: "data", text: whose(one) }),
        " ",
        make("span", { class: "data", text: one.text }),
      ),
      one.kind && me.role !== "operator" ? seen : null,
    );
  };
  open(word("wall.all_alarms"), [
    refused,
    make("ul", { class: "alarms" }, ...shownAlarms().map(row)),
  ]).classList.add("wide");
}

async function clear({ site, robot, kind, subject }, button, refused) {
  button.disabled = true;
  const answer = await post("/api/alarms/clear", {
    site,
    robot,
    kind,
    subject: subject ?? "",
  }).catch((error) => ({
    ok: false,
    message: error.message,
  }));
  if (answer.ok) button.closest("li").remove();
  else {
    button.disabled = false;
    setText(refused, answer.message);
  }
}

// -- one robot

function openDetail(key) {
  const facts = make("dl", { class: "facts" }),
    more = make("a", {
      class: "button",
      text: word("wall.detail.episodes"),
      click: () => detail?.dialog.close(),
    });
  const { site, robot } = robots.get(key);
  more.href = `#episodes?${new URLSearchParams({ site, robot })}`;
  const dialog = open(key, [facts, more], () => {
    detail = null;
  });
  detail = { key, dialog, facts };
  fillDetail();
}

function fillDetail() {
  const one = robots.get(detail.key);
  if (!one) return detail.dialog.close();
  const status = one.status ?? {},
    unknown = word("wall.detail.unknown");
  const ago = (seconds) =>
    Number.isFinite(seconds) ? word("wall.detail.ago", { span: span(seconds) }) : unknown;
  const streams = (status.streams ?? []).map(({ name, health, rate_hz, expected_hz }) =>
    [
      name,
      readable(health),
      Number.isFinite(rate_hz)
        ? word("wall.detail.rate", { rate: number(rate_hz, 1), expected: number(expected_hz ?? 0) })
        : "",
    ]
      .filter(Boolean)
      .join(", "),
  );
  const rows = {
    state: word(`wall.state.${stateOf(one)}`),
    heard: ago(silence(one)),
    task: readable(status.task) || word("wall.no_task"),
    operator: status.operator || unknown,
    taken: Number.isFinite(status.taken)
      ? word("wall.count", { taken: status.taken, target: status.target ?? "" })
      : unknown,
    episode: status.episode || word("wall.detail.none"),
    disk: [
      room(status),
      Number.isFinite(status.disk_full_in_s) && Number.isFinite(status.disk_free_bytes)
        ? word("wall.disk_free", { free: bytes(status.disk_free_bytes) })
        : "",
    ]
      .filter(Boolean)
      .join(", "),
    waiting: Number.isFinite(status.waiting_episodes)
      ? word("wall.detail.waiting_text", {
          count: number(status.waiting_episodes),
          bytes: bytes(status.waiting_bytes),
        })
      : unknown,
    sent: ago(status.sent_ns ? Date.now() / 1000 - status.sent_ns / 1e9 : null),
    version: status.version || unknown,
    streams: streams.join("\n") || word("wall.detail.none"),
    alarms: (status.alarms ?? []).join("\n") || word("wall.detail.none"),
  };
  keyed(
    detail.facts,
    Object.entries(rows),
    ([name]) => name,
    ([name]) =>
      make(
        "div",
        {},
        make("dt", { text: word(`wall.detail.${name}`) }),
        make("dd", { class: "data" }),
      ),
    (element, [, text]) => setText(element.lastElementChild, text),
  );
}
