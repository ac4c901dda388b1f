// The last takes: filters, a list for the keyboard, and the chosen take beside it.

import { get } from "./api.js";
import { causeName } from "./operate.js";
import { dialogIsOpen, open } from "./dialog.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import { link } from "./link.js";
import { modified, typing } from "./keys.js";
import { act, closeTake, closeReport, compared, openReport, setUpTake, showTake } from "./take.js";
import { capital, clock, dateAndTime, keyName, number, onLanguage, reason, word } from "./words.js";

const LIMIT = 50;
const KEYS = { s: "success", f: "failure", d: "discard", r: "restore", c: "compare" };

let episodes = [];
let chosen = "";
let active = false;
let asked = 0; // number of the newest question; answers to older ones are dropped
let later = 0;
let lastTake = "";

export function setUpReview() {
  setUpTake({ changed: reload, marked: drawList });
  setIcon(find("#review-help"), "help");
  setIcon(find("#take-close"), "close");
  find("#review-help").addEventListener("click", help);
  find("#more-takes").addEventListener("click", () => load(true));
  find("#filters").addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(reload, 200);
  });
  find("#filters").addEventListener("submit", (event) => {
    event.preventDefault();
    reload();
  });
  find("#takes").addEventListener("keydown", moveByKey);
  find("#take-close").addEventListener("click", close);
  addEventListener("keydown", byKey);
  link.on("state", follow);
  onLanguage(() => {
    drawFilters();
    if (active) drawList();
  });
  drawFilters();
}

export function enter() {
  active = true;
  reload();
}

export function leave() {
  active = false;
  closeTake();
}

/** A take that was finished or decided meanwhile belongs into the list. */
function follow({ shift }) {
  const { episode_id, state, outcome, cause, taken } = shift ?? {};
  const now = [episode_id, state === "recording", outcome, cause, taken].join("/");
  if (now === lastTake) return;
  lastTake = now;
  if (active) {
    clearTimeout(later);
    later = setTimeout(reload, 500);
  }
}

function drawFilters() {
  fillSelect(find("#filter-outcome"), ["success", "failure", "unlabelled"], "outcome");
  fillSelect(find("#filter-verdict"), ["accept", "review", "reject"], "verdict");
}

function fillSelect(select, values, words) {
  const before = select.value;
  select.replaceChildren(
    make("option", { value: "", text: word("review.any") }),
    ...values.map((value) => make("option", { value, text: word(`${words}.${value}`) })),
  );
  select.value = before;
}

// -- loading

function query() {
  const values = new URLSearchParams();
  for (const [name, value] of new FormData(find("#filters")))
    if (value !== "") values.set(name, value);
  values.set("trash", values.get("trash") ?? "0");
  values.set("limit", LIMIT);
  return values;
}

const reload = () => load(false);

async function load(more) {
  const values = query(),
    mine = ++asked;
  if (more && episodes.length) values.set("before", episodes.at(-1).id);
  let answer;
  try {
    answer = await get(`/api/episodes?${values}`);
  } catch (error) {
    if (mine === asked) message(error.message);
    return;
  }
  if (mine !== asked) return;
  message("");
  episodes = more ? [...episodes, ...answer.episodes] : answer.episodes;
  setHidden(find("#more-takes"), !answer.more);
  if (!episodes.some(({ id }) => id === chosen)) chosen = "";
  drawList();
  suggestTasks();
}

function message(text) {
  setText(find("#review-message"), text);
  setHidden(find("#review-message"), text === "");
}

function suggestTasks() {
  const names = [...new Set(episodes.map(({ task }) => task).filter(Boolean))];
  keyed(
    find("#filter-tasks"),
    names,
    (name) => name,
    (name) => make("option", { value: name }),
    () => {},
  );
}

// -- the list

function drawList() {
  setText(find("#no-takes"), episodes.length ? "" : word("review.none"));
  keyed(find("#takes"), episodes, ({ id }) => id, makeRow, fillRow);
  setHidden(find("#takes"), episodes.length === 0);
  mark();
}

const rowId = (id) => `take-${id.replace(/[^\w-]/g, "_")}`;

function makeRow(episode) {
  const picture = make("img", {
    src: `/api/episodes/${encodeURIComponent(episode.id)}/thumbnail.jpg`,
    alt: "",
    loading: "lazy",
    width: 96,
    height: 72,
    error: () => {
      picture.hidden = true;
    },
  });
  return make(
    "div",
    {
      class: "row-take",
      role: "option",
      id: rowId(episode.id),
      data: { episode: episode.id },
      click: () => {
        choose(episode.id);
        find("#takes").focus({ preventScroll: true });
      },
      dblclick: () => openReport(),
    },
    make("span", { class: "thumbnail" }, picture),
    make(
      "span",
      { class: "lines" },
      make(
        "span",
        { class: "first" },
        make("strong", { class: "task data" }),
        make("span", { class: "when" }),
      ),
      make(
        "span",
        { class: "second" },
        make(
          "span",
          { class: "outcome badge" },
          make("span", { class: "icon" }),
          make("span", { class: "text data" }),
        ),
        make(
          "span",
          { class: "verdict badge" },
          make("span", { class: "icon" }),
          make("span", { class: "text" }),
        ),
        make(
          "span",
          { class: "mark badge" },
          make("span", { class: "icon" }),
          make("span", { class: "text" }),
        ),
      ),
      make("span", { class: "third data" }),
    ),
  );
}

function fillRow(row, episode) {
  setText(find(".task", row), episode.task || word("review.no_task"));
  setText(find(".when", row), episode.start_s === null ? "" : dateAndTime(episode.start_s));
  badge(
    find(".outcome", row),
    episode.trashed ? "discarded" : episode.outcome,
    episode.trashed
      ? word("outcome.discarded")
      : word(`outcome.${episode.outcome}`) + (episode.cause ? `: ${causeName(episode.cause)}` : ""),
    episode.trashed ? "trash" : episode.outcome,
  );
  badge(
    find(".verdict", row),
    episode.verdict,
    word(`verdict.${episode.verdict}`),
    episode.verdict,
  );
  badge(find(".mark", row), "compare", word("review.marked"), "compare");
  setHidden(find(".mark", row), !compared().includes(episode.id));
  setText(
    find(".third", row),
    [
      reasonOf(episode),
      episode.operator,
      clock(episode.duration_s),
      episode.lost ? word("review.lost", { count: number(episode.lost) }) : "",
    ]
      .filter(Boolean)
      .join(" · "),
  );
  row.setAttribute("aria-selected", String(episode.id === chosen));
}

/** What decided the verdict, where it is no good one. */
const reasonOf = ({ verdict, reason: check }) =>
  check && verdict !== "accept" ? capital(reason(check)) : "";

function badge(element, value, text, shape) {
  setData(element, "value", value);
  setIcon(element.firstElementChild, shape);
  setText(element.lastElementChild, text);
}

function mark() {
  const list = find("#takes");
  if (chosen) list.setAttribute("aria-activedescendant", rowId(chosen));
  else list.removeAttribute("aria-activedescendant");
  const episode = episodes.find(({ id }) => id === chosen);
  if (episode) showTake(episode);
  else closeTake();
  setData(find("#page-review"), "chosen", episode ? "yes" : "no");
}

function choose(id) {
  chosen = id;
  drawList();
  document.getElementById(rowId(id))?.scrollIntoView({ block: "nearest" });
}

function close() {
  chosen = "";
  drawList();
  find("#takes").focus({ preventScroll: true });
}

// -- the keyboard

function moveByKey(event) {
  const at = episodes.findIndex(({ id }) => id === chosen);
  const to = {
    ArrowDown: at + 1,
    ArrowUp: Math.max(0, at - 1),
    Home: 0,
    End: episodes.length - 1,
    PageDown: at + 8,
    PageUp: Math.max(0, at - 8),
  }[event.key];
  if (event.key === "Enter" && at >= 0) openReport();
  else if (to === undefined || !episodes.length || modified(event)) return;
  else choose(episodes[Math.min(to, episodes.length - 1)].id);
  event.preventDefault();
}

function byKey(event) {
  if (!active || modified(event) || dialogIsOpen()) return;
  if (event.key === "Escape" && (chosen || typing(event))) {
    if (typing(event)) find("#takes").focus();
    else if (!closeReport()) close();
    return;
  }
  if (typing(event)) return;
  const key = event.key.toLowerCase(),
    does = KEYS[key];
  if (
    ["ArrowDown", "ArrowUp"].includes(event.key) &&
    !event.defaultPrevented &&
    !event.target.closest("[tabindex='0'], iframe")
  ) {
    find("#takes").focus({ preventScroll: true });
    moveByKey(event);
    return;
  }
  if (event.repeat) return;
  if (key === "/") find("#filter-text").focus();
  else if (key === "?") help();
  else if (does && chosen) act(does);
  else return;
  event.preventDefault();
}

function help() {
  const rows = [
    ["↑ ↓", "move"],
    [keyName("Enter"), "report"],
    ["S", "success"],
    ["F", "failure"],
    ["D", "discard"],
    ["R", "restore"],
    ["C", "compare"],
    ["/", "search"],
    [keyName("Escape"), "close"],
    ["?", "help"],
  ];
  open(word("review.help"), [
    make(
      "dl",
      { class: "keys-help" },
      ...rows.flatMap(([key, does]) => [
        make("dt", {}, make("kbd", { text: key })),
        make("dd", { text: word(`review.key_${does}`) }),
      ]),
    ),
  ]);
}
