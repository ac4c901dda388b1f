// The page for training: the reference take beside one's own, in step, and what to do better.

import { get, post } from "./api.js";
import { begin, connect } from "./begin.js";
import { takeOver } from "./commands.js";
import { dialogIsOpen } from "./dialog.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { Film, Player } from "./film.js";
import { showPage } from "./header.js";
import { icon, setIcon } from "./icons.js";
import { modified, typing } from "./keys.js";
import { lane, moveLanes } from "./lanes.js";
import { link } from "./link.js";
import { drawProgress } from "./progress.js";
import { headFirst } from "./view.js";
import { dateAndTime, number, onLanguage, reason, word } from "./words.js";

const LATER_MS = 400;
const AGAIN_MS = 3000; // after an answer that failed
const SIDES = ["reference", "own"];
const DIGITS = { duration_s: 1, smoothness: 2, still_s: 1, turns: 0, travel_rad: 1, recoveries: 0 };
const SAID_DIGITS = { turns: 0, recoveries: 0, rough: 2 };
const SHAPES = { better: "success", worse: "warning", like: "unlabelled" };
const LEVEL = 90; // percent
const TARGET = 10; // takes

let me = null;
let told = null; // the newest answer
let asked = 0; // number of the newest question; answers to older ones are dropped
let later = 0;
let lastTake = null;
let marking = false;
const wanted = new URLSearchParams(location.search); // task, operator, take, level, target
const players = {};
const shown = {}; // id of the take in each player

async function boot() {
  me = await begin();
  if (!me) return;
  showPage("training");
  setUpPlayers();
  setUpChoice();
  find("#answer-take").addEventListener("click", takeOver);
  addEventListener("keydown", byKey);
  link.on("state", follow);
  link.on("state", title);
  onLanguage(() => {
    if (told) draw();
    if (link.state) title(link.state);
  });
  connect();
  load();
}

function title({ robot }) {
  document.title = [word("nav.training"), robot].filter(Boolean).join(" · ");
}

// -- what is shown

function setUpChoice() {
  for (const name of ["task", "operator"])
    find(`#training-${name}`).addEventListener("change", ({ target }) => {
      want(
        name === "task"
          ? { task: target.value, operator: "", take: "" }
          : { operator: target.value, take: "" },
      );
      load();
    });
  for (const name of ["target", "level"])
    find(`#goal-${name}`).addEventListener("change", ({ target }) => {
      want({ [name]: target.checkValidity() ? target.value : "" });
      draw();
    });
  for (const form of ["#choice", "#goal"])
    find(form).addEventListener("submit", (event) => event.preventDefault());
  find("#mark").addEventListener("click", () => mark(told.own.id, true));
  find("#unmark").addEventListener("click", () => mark(told.reference.id, false));
}

/** Keep what is chosen in the address, so that a page that is loaded again shows the same. */
function want(values) {
  for (const [name, value] of Object.entries(values))
    if (value) wanted.set(name, value);
    else wanted.delete(name);
  history.replaceState(null, "", wanted.size ? `?${wanted}` : location.pathname);
}

/** A take that has ended, or was decided about, is the newest one's own. */
function follow({ shift }) {
  const { episode_id, state, outcome, cause, taken, task, operator } = shift ?? {},
    now = [episode_id, state === "recording", outcome, cause, taken, task, operator].join("/");
  if (now === lastTake) return;
  if (lastTake !== null) want({ take: "" });
  lastTake = now;
  reload(LATER_MS);
}

function reload(wait_ms) {
  clearTimeout(later);
  later = setTimeout(load, wait_ms);
}

async function load() {
  clearTimeout(later);
  const mine = ++asked,
    query = new URLSearchParams(
      ["task", "operator", "take"].map((name) => [name, wanted.get(name) ?? ""]),
    );
  try {
    const answer = await get(`/api/training?${query}`);
    if (mine !== asked) return;
    told = answer;
    message("");
  } catch (error) {
    if (mine !== asked) return;
    message(told ? word("training.old", { why: error.message }) : error.message);
    return reload(AGAIN_MS);
  }
  draw();
  if (told.waiting) reload(0); // the server waits itself until there is more
}

function message(text) {
  setText(find("#training-message"), text);
  setHidden(find("#training-message"), text === "");
}

function draw() {
  setText(
    find("#training-status"),
    told.waiting ? word("training.measuring", { count: told.waiting }) : "",
  );
  setData(find("#page-training"), "waiting", told.waiting ? "yes" : "no");
  select(find("#training-task"), told.tasks, told.task, "review.no_task");
  select(find("#training-operator"), told.operators, told.operator, "unknown");
  for (const side of SIDES) drawSide(side, told[side]);
  drawFigures();
  drawAdvice();
  drawLanes();
  drawTarget();
}

function select(box, names, chosen, none) {
  const options = chosen ? names : ["", ...names];
  keyed(
    box,
    options,
    (name) => name,
    (name) => make("option", { value: name }),
    (option, name) => setText(option, name || word(none)),
  );
  box.value = chosen;
}

function drawSide(side, take) {
  const box = find(`#side-${side}`);
  setData(box, "take", take?.id ?? "");
  setText(find(".why", box), why(side, take));
  find(".why", box).title = take?.id ?? "";
  find(".badges", box).replaceChildren(
    ...(take
      ? [
          badge(
            take.outcome,
            word(`outcome.${take.outcome}`) + (take.cause ? `: ${spaced(take.cause)}` : ""),
          ),
          badge(take.verdict, word(`verdict.${take.verdict}`)),
          take.problem
            ? badge("review", word("training.unmeasured", { why: take.problem }), "warning")
            : null,
        ].filter(Boolean)
      : []),
  );
  const decides = ["inspector", "admin"].includes(me.role),
    marked = told.marked ? told.reference?.id : null;
  if (side === "own") setHidden(find("#mark"), !decides || !take || take.id === marked);
  else setHidden(find("#unmark"), !decides || !told.marked || !take);
  showFilm(side, take);
}

const spaced = (text) => text.replaceAll("_", " ");

function badge(value, text, shape = value) {
  return make(
    "span",
    { class: "badge", data: { value }, title: text },
    make("span", { class: "icon" }, icon(shape)),
    make("span", { class: "data", text }),
  );
}

/** Whose take it is, and how it became the reference. */
function why(side, take) {
  if (!take) return "";
  const chosen = told.marked
    ? word("training.marked", { by: told.marked_by })
    : word("training.best", { count: number(told.of) });
  const when = take.start_s === null ? "" : dateAndTime(take.start_s);
  return [take.operator, side === "reference" ? chosen : when].filter(Boolean).join(" · ");
}

async function mark(id, on) {
  if (marking) return;
  marking = true;
  try {
    const answer = await post(`/api/episodes/${encodeURIComponent(id)}/reference`, { on });
    message(answer.ok ? "" : answer.message || word("operate.refused"));
    if (answer.ok) await load();
  } catch {
    message(word("operate.no_answer"));
  } finally {
    marking = false;
  }
}

// -- the films, in step

function setUpPlayers() {
  for (const side of SIDES) {
    players[side] = new Player(find(`#side-${side} .film`));
    players[side].on("time", (at_s) => lead() === players[side] && moved(at_s));
    players[side].on("speed", drawPlay);
  }
  find("#play").addEventListener("click", toggle);
  find("#scrub").addEventListener("input", ({ target }) => {
    lead().pause();
    lead().go(Number(target.value));
  });
  onLanguage(drawPlay);
  drawPlay();
}

/** The longer take keeps the time; the other one stands still at its end. */
const lead = () => (players.reference.to_s > players.own.to_s ? players.reference : players.own);
const others = () => SIDES.map((side) => players[side]).filter((player) => player !== lead());

function showFilm(side, take) {
  const player = players[side];
  const none = told.waiting ? "" : word(`training.no_${side}`);
  if (side in shown && shown[side] === take?.id) {
    if (!take) setText(find(`#side-${side} .film p`), none);
    return;
  }
  for (const each of SIDES) players[each].pause();
  shown[side] = take?.id;
  player.film?.close();
  if (!take) {
    player.show(null);
    find(`#side-${side} .film`).replaceChildren(make("p", { text: none }));
  } else {
    const film = new Film({
      address: `/api/episodes/${encodeURIComponent(take.id)}`,
      duration_s: take.duration_s,
      camera: (all) => all.find(({ name }) => name === headFirst(all.map((one) => one.name))),
    });
    film.on("told", () => {
      film.from_s = 0; // what was recorded before the start is no part of the take
      drawPlay();
    });
    player.show(film);
  }
  for (const each of SIDES) players[each].go(0);
  drawPlay();
}

function moved(at_s) {
  for (const other of others()) other.go(at_s);
  const scrub = find("#scrub");
  scrub.value = at_s;
  setText(
    find("#training-time"),
    word("training.at", { at: number(at_s, 1), length: number(lead().to_s, 1) }),
  );
  moveLanes(find("#lanes"), at_s / Math.max(lead().to_s, 1e-3));
}

function drawPlay() {
  const there = SIDES.some((side) => players[side].film),
    plays = SIDES.some((side) => players[side].speed),
    button = find("#play");
  button.disabled = !there;
  setIcon(find(".icon", button), plays ? "pause" : "resume");
  setText(find(".text", button), word(plays ? "training.stop" : "training.play"));
  setData(find("#page-training"), "plays", plays ? "yes" : "no");
  const scrub = find("#scrub");
  scrub.disabled = !there;
  scrub.max = lead().to_s;
  if (there) moved(lead().at_s);
  else setText(find("#training-time"), "");
}

function toggle() {
  if (!find("#play").disabled) lead().toggle();
}

function byKey(event) {
  if (event.key !== " " || modified(event) || dialogIsOpen()) return;
  if (
    event.target.closest("button, select, summary, a") ||
    (typing(event) && event.target.id !== "scrub")
  )
    return;
  event.preventDefault();
  if (!event.repeat) toggle();
}

// -- below them

function drawLanes() {
  const takes = SIDES.map((side) => ({ side, take: told[side] })).filter(({ take }) => take);
  const length_s = Math.max(1e-3, ...takes.map(({ take }) => take.duration_s));
  keyed(
    find("#lanes"),
    takes,
    ({ side, take }) =>
      JSON.stringify([side, take.id, length_s, Boolean(take.score), document.documentElement.lang]),
    ({ side, take }) => lane(word(`training.${side}`), take, length_s),
    () => {},
  );
  moveLanes(find("#lanes"), lead().at_s / Math.max(lead().to_s, 1e-3));
}

function shownFigure(name, value) {
  if (value === null) return word("unknown");
  const text = number(value, DIGITS[name]);
  if (name.endsWith("_s")) return word("training.seconds", { value: text });
  return name.endsWith("_rad") ? word("training.radians", { value: text }) : text;
}

function drawFigures() {
  setText(
    find("#training-percent"),
    told.percent === null
      ? ""
      : word("training.percent", { value: number(Math.floor(told.percent)) }),
  );
  find("#training-percent").setAttribute(
    "aria-label",
    `${word("training.score")} ${find("#training-percent").textContent}`,
  );
  keyed(
    find("#figures tbody"),
    told.figures,
    ({ name }) => name,
    () => make("tr", {}, make("th", { scope: "row" }), make("td"), make("td"), make("td")),
    (row, { name, own, reference, mark }) => {
      const [head, theirs, mine, compared] = row.children;
      setText(head, word(`training.${name}`));
      setText(theirs, told.reference ? shownFigure(name, reference) : "–");
      setText(mine, shownFigure(name, own));
      compared.replaceChildren(
        make(
          "span",
          { class: "compared", data: { mark } },
          mark ? make("span", { class: "icon" }, icon(SHAPES[mark])) : null,
          make("span", { text: mark ? word(`training.${mark}`) : "" }),
        ),
      );
    },
  );
}

function drawAdvice() {
  const why = told.own?.problem ?? "";
  const items =
    told.advice.length || why ? [...told.advice] : [{ key: "", said: word("training.no_advice") }];
  if (why) items.unshift({ key: "unmeasured", said: word("training.unmeasured", { why }) });
  find("#advice-list").replaceChildren(
    ...items.map((one) =>
      make(
        "li",
        { data: { say: one.key } },
        make(
          "span",
          { class: "icon", "aria-hidden": "true" },
          icon(one.key === "good" ? "success" : one.key ? "warning" : "unknown"),
        ),
        make("span", { class: "data", text: one.said ?? sentence(one) }),
      ),
    ),
  );
}

function sentence({ key, own, reference, text }) {
  const digits = SAID_DIGITS[key] ?? 1,
    said = ["review", "reject"].includes(key) ? reason(text) : spaced(text);
  return word(`training.say_${key}`, {
    own: number(own, digits),
    reference: number(reference, digits),
    text: said,
  });
}

function drawTarget() {
  const shift = link.state?.shift,
    target = Number(wanted.get("target")) || (shift?.task === told.task && shift?.target) || TARGET,
    level = Number(wanted.get("level")) || LEVEL;
  for (const [name, value] of [
    ["target", target],
    ["level", level],
  ]) {
    const box = find(`#goal-${name}`);
    if (document.activeElement !== box) box.value = value;
  }
  drawProgress(find("#progress-curve"), told.takes, {
    level,
    chosen: told.own?.id,
    choose: (id) => {
      want({ take: id });
      load();
    },
  });
  const count = told.takes.filter(
    ({ percent, good }) => good && percent !== null && percent >= level,
  ).length;
  setText(
    find("#progress-title"),
    word("training.progress", { count: number(count), target: number(target) }),
  );
  setData(find("#progress-title"), "reached", count >= target ? "yes" : "no");
}

boot().catch((error) => {
  // without its texts the page can only speak English
  document.body.prepend(
    make("p", {
      role: "alert",
      class: "banner",
      text: `This page cannot start: ${error.message}. Reload it.`,
    }),
  );
});
