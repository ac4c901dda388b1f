// The floor today, live: yield, success rate, takes per hour, targets, reject reasons, operators.

import { get } from "./api.js";
import { columns, rows } from "./charts.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import {
  capital,
  dateAndTime,
  hours,
  number,
  onLanguage,
  percent,
  reason,
  time,
  word,
} from "./words.js";

const AGAIN_MS = 5000;

let active = false;
let timer = 0;
let newest = null;

export function setUpToday() {
  onLanguage(() => active && newest && draw());
  document.addEventListener("visibilitychange", () => active && !document.hidden && look());
}

export function enter() {
  active = true;
  look();
}

export function leave() {
  active = false;
  clearTimeout(timer);
}

async function look() {
  clearTimeout(timer);
  try {
    newest = await get("/api/today");
    message("");
  } catch (error) {
    message(newest ? word("today.old", { why: error.message }) : error.message);
  }
  if (!active) return;
  if (newest) draw();
  if (!document.hidden) timer = setTimeout(look, AGAIN_MS);
}

function message(text) {
  setText(find("#today-message"), text);
  setHidden(find("#today-message"), text === "");
}

function draw() {
  const day = newest;
  setText(find("#today-since"), word("today.since", { time: dateAndTime(day.since_s) }));
  drawTiles(day);
  columns(
    find("#today-hours"),
    day.per_hour.map(({ hour_s, episodes }) => ({
      name: time(hour_s).slice(0, 2),
      value: episodes,
    })),
    word("today.hours"),
  );
  rows(
    find("#today-reasons"),
    day.reasons.map(({ check, episodes }) => ({
      name: capital(reason(check)),
      detail: check,
      value: episodes,
      text: number(episodes),
    })),
    word("today.no_reasons"),
  );
  rows(find("#today-targets"), day.tasks.map(ofTask), word("today.nothing"));
  rows(
    find("#today-operators"),
    day.operators.map(({ operator, episodes, successes }) => ({
      name: operator || word("unknown"),
      detail: "",
      value: episodes,
      text: word("today.of_successes", {
        successes: number(successes),
        episodes: number(episodes),
      }),
    })),
    word("today.nothing"),
  );
}

function ofTask({ task, episodes, successes, target, all_successes }) {
  const today = word("today.of_successes", {
    successes: number(successes),
    episodes: number(episodes),
  });
  if (!target)
    return {
      name: task || word("review.no_task"),
      detail: today,
      value: all_successes,
      text: number(all_successes),
    };
  return {
    name: task,
    detail: today,
    value: all_successes,
    most: target,
    text: word("prepare.count", { successes: number(all_successes), target: number(target) }),
  };
}

function drawTiles(day) {
  const { verdicts } = day,
    rejected = verdicts.reject ?? 0;
  const tiles = [
    ["episodes", number(day.episodes), "start"],
    ["yield", number(day.yield_per_hour, 1), "accept"],
    ["success_rate", percent(day.success_rate), "success"],
    ["failures", number(day.failures), "failure"],
    ["unlabelled", number(day.unlabelled), "verdict"],
    ["review", number(verdicts.review ?? 0), "review"],
    ["reject", number(rejected), "reject"],
    ["recorded", hours(day.seconds), "countdown"],
  ];
  keyed(
    find("#today-tiles"),
    tiles,
    ([name]) => name,
    ([name]) =>
      make(
        "div",
        { class: "tile", data: { tile: name } },
        make("span", { class: "icon", "aria-hidden": "true" }),
        make("strong"),
        make("span", { class: "name" }),
        make("small"),
      ),
    (tile, [name, value, shape]) => {
      setData(tile, "tile", name);
      setIcon(find(".icon", tile), shape);
      setText(find("strong", tile), value);
      setText(find(".name", tile), word(`today.${name}`));
      setText(find("small", tile), word(`today.${name}_means`));
    },
  );
}
