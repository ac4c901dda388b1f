// The floor's episodes: filters, a list, and the chosen one beside it.

import { get } from "./api.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { closeEpisode, setUpEpisode, showEpisode } from "./episode.js";
import { setIcon } from "./icons.js";
import { bytes, clock, dateAndTime, named, number, readable, word } from "./words.js";

const LIMIT = 50;
const FRESH_MS = 5000; // between two looks for newer episodes
const TYPE_MS = 250;
const CHOICES = {
  outcome: ["success", "failure", "unlabelled"],
  verdict: ["accept", "review", "reject", "unknown"],
};
export const STATE_SHAPES = {
  offered: "robot",
  uploading: "upload",
  verifying: "countdown",
  held: "warning",
  stored: "stored",
  discarded: "trash",
};

let episodes = [];
let chosen = "";
let before = null; // where older ones begin
let asked = 0; // number of the newest question; answers to older ones are dropped
let timer = 0;
let active = false;
let paged = false; // older ones were asked for: the list is not read anew

export function setUp(me) {
  setUpEpisode(me, { changed: load, back });
  const form = find("#filters");
  for (const [name, values] of Object.entries(CHOICES))
    form.elements[name].append(
      make("option", { value: "", text: word("episodes.any") }),
      ...values.map((value) => make("option", { value, text: named(name, value) })),
    );
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filtered, TYPE_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filtered();
  });
  form.addEventListener("reset", () => setTimeout(filtered));
  find("#more").addEventListener("click", () => load(true));
  find("#list").addEventListener("keydown", move);
  addEventListener(
    "keydown",
    (event) =>
      active && event.key === "Escape" && !event.target.closest("dialog") && chosen && back(),
  );
}

export function enter(rest, question) {
  active = true;
  const form = find("#filters");
  if ([...question].length) {
    form.reset();
    for (const [name, value] of question)
      if (form.elements[name]) form.elements[name].value = value;
  }
  chosen = rest.length === 2 ? rest.join("/") : "";
  setData(find("#page-episodes"), "chosen", chosen ? "yes" : "no");
  if (chosen) showEpisode(...rest);
  else closeEpisode();
  if (!episodes.length || [...question].length) filtered();
  else {
    draw();
    schedule();
  }
}

export function leave() {
  active = false;
  clearTimeout(timer);
  closeEpisode();
}

function back() {
  location.hash = "episodes";
  find(`#list [data-key="${CSS.escape(chosen)}"] a`)?.focus();
}

function filtered() {
  paged = false;
  load();
}

async function load(more = false) {
  clearTimeout(timer);
  const mine = ++asked,
    values = new URLSearchParams([...new FormData(find("#filters"))].filter(([, value]) => value));
  values.set("limit", LIMIT);
  if (more && before) {
    values.set("before", before);
    paged = true;
  }
  let answer;
  try {
    answer = await get(`/api/episodes?${values}`);
  } catch (error) {
    if (mine === asked) message(error.message);
    return schedule();
  }
  if (mine !== asked) return;
  message("");
  const known = new Set(more ? episodes.map(keyOf) : []);
  episodes = more
    ? [...episodes, ...answer.episodes.filter((one) => !known.has(keyOf(one)))]
    : answer.episodes;
  before = answer.before;
  setHidden(find("#more"), !before);
  if (!more)
    setText(
      find("#count"),
      word(answer.count > answer.most ? "episodes.count_over" : "episodes.count", {
        count: number(Math.min(answer.count, answer.most)),
      }),
    );
  for (const [name, found] of Object.entries(answer.names ?? {}))
    keyed(
      find(`#names-${name}`),
      found,
      (one) => one,
      (one) => make("option", { value: one }),
      () => {},
    );
  draw();
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (active && !paged) timer = setTimeout(load, FRESH_MS);
}

function message(text) {
  setText(find("#episodes-message"), text);
  setHidden(find("#episodes-message"), text === "");
}

const keyOf = ({ site, id }) => `${site}/${id}`;

function draw() {
  setHidden(find("#no-episodes"), episodes.length > 0);
  keyed(find("#list"), episodes, keyOf, makeRow, fillRow);
}

const badge = (name) =>
  make(
    "span",
    { class: `badge ${name}` },
    make("span", { class: "icon", "aria-hidden": "true" }),
    make("span", { class: "text data" }),
  );

function makeRow({ site, id }) {
  return make(
    "li",
    {},
    make(
      "a",
      { class: "episode", href: `#episodes/${encodeURIComponent(site)}/${encodeURIComponent(id)}` },
      make(
        "span",
        { class: "what" },
        make("strong", { class: "task data" }),
        make("small", { class: "where data" }),
      ),
      make("span", { class: "badges" }, badge("outcome"), badge("verdict")),
      badge("stage"),
      make(
        "span",
        { class: "numbers" },
        make("span", { class: "when" }),
        make("small", { class: "length" }),
      ),
    ),
  );
}

export function fillBadge(element, value, shape, text) {
  setData(element, "value", value);
  setIcon(element.firstElementChild, shape);
  setText(element.lastElementChild, text);
}

function fillRow(row, one) {
  const anchor = row.firstElementChild;
  if (keyOf(one) === chosen) anchor.setAttribute("aria-current", "true");
  else anchor.removeAttribute("aria-current");
  setText(find(".task", row), readable(one.task) || word("episodes.no_task"));
  setText(find(".where", row), [one.site, one.robot, one.operator].filter(Boolean).join(" · "));
  fillBadge(
    find(".outcome", row),
    one.outcome,
    one.outcome,
    named("outcome", one.outcome) + (one.cause ? `: ${readable(one.cause)}` : ""),
  );
  fillBadge(find(".verdict", row), one.verdict, one.verdict, named("verdict", one.verdict));
  fillBadge(
    find(".stage", row),
    one.state,
    STATE_SHAPES[one.state] ?? "unknown",
    named("state", one.state),
  );
  setText(find(".when", row), one.start_s === null ? "-" : dateAndTime(one.start_s));
  setText(find(".length", row), `${clock(one.duration_s)} · ${bytes(one.size_bytes)}`);
}

/** Arrow keys go through the list. */
function move(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const anchors = [...find("#list").querySelectorAll("a")],
    next = anchors[anchors.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
