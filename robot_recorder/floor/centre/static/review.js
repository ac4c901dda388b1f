// Review by keyboard: the take, its film, a decision, and the next take at once.

import { get, post } from "./api.js";
import { drawCurves } from "./curves.js";
import { dialogIsOpen, open } from "./dialog.js";
import { all, find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { Film, Player } from "./film.js";
import { setIcon } from "./icons.js";
import { link } from "./link.js";
import * as panels from "./panels.js";
import {
  bytes,
  capital,
  clock,
  dateAndTime,
  named,
  number,
  readable,
  span,
  word,
} from "./words.js";

const AHEAD = 2; // takes that are claimed, and their films got, while one is looked at
const EMPTY_MS = 5000; // between two looks into an empty queue
const KEEP_MS = 30000; // between two extensions of the claims
const ACTIVE_MS = 120000; // who does nothing for longer gives the claims up
const TRIES = 4; // of a decision whose answer was lost
const TYPED = "input, textarea, select";

const items = []; // claimed: the first one is shown
const films = new Map(); // by claim
const answered = new Set(); // claims that were decided or skipped here, also on their way
let player;
let active = false;
let allowed = false;
let choosing = ""; // what the next number decides: cause, reason, or nothing
let orders = Promise.resolve(); // decisions go one after another
let unsaved = 0;
let empty = false; // the queue has said so
let asking = false;
let askAgain = false;
let later = 0;
let server_ahead_s = 0; // of this machine's clock
let kept_ms = 0;
let moved_ms = 0;
let decided = 0;
let marks = []; // times of findings, s

export function setUp(me) {
  allowed = me.role !== "operator";
  player = new Player(find("#film"));
  player.on("time", drawTime);
  player.on("speed", drawSpeed);
  panels.setUp(me, { changed: again });
  link.on("state", ({ now_s }) => {
    if (Number.isFinite(now_s)) server_ahead_s = now_s - Date.now() / 1000;
  });
  addEventListener("keydown", byKey);
  for (const event of ["pointerdown", "pointermove"])
    addEventListener(event, () => (moved_ms = performance.now()));
  addEventListener("beforeunload", (event) => unsaved && event.preventDefault());
  setInterval(watchClaims, 1000);
  for (const button of all("[data-act]")) {
    setIcon(find(".icon", button), button.dataset.icon);
    button.addEventListener("click", () => act(button.dataset.act));
  }
  find("#note").addEventListener("keydown", noteKey);
  for (const select of all("#review-filter input, #review-filter select"))
    select.addEventListener("change", again);
  find("#review-filter").addEventListener("submit", (event) => event.preventDefault());
  for (const axis of [find("#axis"), find("#curves .sheet")]) scrubByPointer(axis);
  drawSpeed(0);
}

export function enter() {
  active = true;
  moved_ms = performance.now();
  setHidden(find("#review-forbidden"), allowed);
  setHidden(find("#review-desk"), !allowed);
  if (!allowed) return;
  panels.enter();
  draw();
  if (!items.length) fetchMore();
}

export function leave() {
  active = false;
  clearTimeout(later);
  player.pause();
  panels.leave();
}

const now_s = () => Date.now() / 1000 + server_ahead_s;

// -- takes

function filter() {
  return Object.fromEntries(new FormData(find("#review-filter")));
}

/** Give back what was claimed for another filter, and ask anew. */
function again() {
  for (const item of items.splice(0)) {
    answered.add(item.claim);
    drop(item);
    give("/api/review/release", { claim: item.claim, skip: false });
  }
  empty = false;
  orders = orders.then(() => answered.clear()); // what comes back may come again
  draw();
  fetchMore();
}

function filmOf(item) {
  const { site, id, duration_s } = item,
    address = `/api/review/${encodeURIComponent(site)}/${encodeURIComponent(id)}`;
  const film = new Film({ address, duration_s });
  for (const event of ["told", "frame"]) film.on(event, drawAhead);
  return film;
}

/** How many takes can be shown at once after this one. */
function drawAhead() {
  const ready = items.slice(1).findIndex(({ claim }) => !films.get(claim)?.ready);
  setData(find("#review-desk"), "ahead", String(ready < 0 ? Math.max(0, items.length - 1) : ready));
}

function drop(item) {
  films.get(item.claim)?.close();
  films.delete(item.claim);
}

/** Claim takes until enough lie ahead; decisions on their way are waited for. */
async function fetchMore() {
  if (!active || !allowed) return;
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  askAgain = false;
  clearTimeout(later);
  try {
    await orders;
    const answer = await post("/api/review/next", { count: AHEAD + 1, ...filter() });
    if (!answer.ok) throw new Error(answer.message);
    setText(find("#queue-problem"), "");
    take(answer.items);
  } catch (error) {
    setText(find("#queue-problem"), word("review.no_answer", { why: error.message }));
  } finally {
    asking = false;
  }
  if (askAgain) fetchMore();
  else if (items.length <= AHEAD) later = setTimeout(fetchIfThere, EMPTY_MS);
}

/** Who is away claims nothing: others could not review it. */
function fetchIfThere() {
  if (isThere()) fetchMore();
  else whenBack(fetchMore);
}

const isThere = () => performance.now() - moved_ms < ACTIVE_MS;

function whenBack(does) {
  for (const event of ["keydown", "pointermove"]) addEventListener(event, back);
  function back() {
    for (const event of ["keydown", "pointermove"]) removeEventListener(event, back);
    moved_ms = performance.now();
    does();
  }
}

function take(found) {
  const before = items[0];
  for (const item of found) {
    const known = items.find(({ claim }) => claim === item.claim);
    if (known) known.until_s = item.until_s;
    else if (!answered.has(item.claim)) items.push(item);
  }
  for (const item of items) if (!films.has(item.claim)) films.set(item.claim, filmOf(item));
  empty = !items.length;
  if (items[0] !== before || empty) draw();
  panels.refresh();
}

/** Show the take after the first one, which was decided, skipped or lost. */
function advance() {
  const item = items.shift();
  empty = false;
  answered.add(item.claim);
  choosing = "";
  find("#note").value = "";
  draw();
  setTimeout(() => drop(item), 0); // the next take is shown first
  fetchMore();
}

// -- decisions

/** Send an order; the answer comes after all earlier ones. A lost answer is asked for again. */
function give(path, body) {
  unsaved++;
  drawUnsaved();
  const answer = orders.then(async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        const told = await post(path, body, 10000);
        if (told.status < 502 || attempt === TRIES) return told;
      } catch (error) {
        if (attempt === TRIES) return { ok: false, message: error.message, status: 0 };
      }
      await new Promise((done) => setTimeout(done, 500 * attempt));
    }
  });
  orders = answer.then(() => {
    unsaved--;
    drawUnsaved();
  });
  return answer;
}

async function decide(outcome, { cause = "", usable = true, reason = "" } = {}) {
  const item = items[0];
  const body = {
    site: item.site,
    id: item.id,
    claim: item.claim,
    outcome,
    cause,
    usable,
    reason,
    note: find("#note").value.trim(),
  };
  const what = usable
    ? named("outcome", outcome) + (cause ? `: ${readable(cause)}` : "")
    : `${word("outcome.unusable")}: ${readable(reason)}`;
  advance();
  message("done", word("review.decided", { id: item.id, decision: what }));
  const answer = await give("/api/review/decide", body);
  if (answer.ok) {
    decided++;
    drawUnsaved();
    return;
  }
  message("refused", word("review.refused", { why: answer.message }));
  if (answer.status === 409) return; // another has it, or it is decided
  answered.delete(item.claim);
  items.unshift(item);
  films.set(item.claim, filmOf(item));
  find("#note").value = body.note;
  draw();
}

function skip() {
  const item = items[0];
  advance();
  message("done", word("review.skipped", { id: item.id }));
  give("/api/review/release", { claim: item.claim, skip: true });
}

async function undo() {
  const answer = await give("/api/review/undo", { decision: null });
  if (!answer.ok) {
    message(
      "refused",
      answer.status === 404
        ? word("review.nothing_to_undo")
        : word("review.refused", { why: answer.message }),
    );
    return;
  }
  decided = Math.max(0, decided - 1);
  answered.delete(answer.claim);
  const told = await post("/api/review/next", {
    count: AHEAD + 2,
    ...filter(),
    site: "",
    task: "",
    why: "",
  }).catch(() => null);
  const back = told?.items?.find(({ site, id }) => site === answer.site && id === answer.id);
  if (back) {
    items.unshift(back);
    films.set(back.claim, filmOf(back));
    draw();
  }
  message("done", word("review.undone", { id: answer.id }));
  drawUnsaved();
  panels.refresh();
}

/** What a key or a button does to the shown take. */
function act(name) {
  moved_ms = performance.now();
  const item = items[0];
  if (name === "help") return help();
  if (name === "panels") return panels.toggle();
  if (name === "undo") return undo();
  if (!item) return;
  if (name === "success") decide("success");
  else if (name === "failure") item.causes?.length ? choose("cause") : decide("failure");
  else if (name === "unusable") choose("reason");
  else if (name === "note") find("#note").focus();
  else if (name === "next") skip();
}

function options() {
  if (choosing === "cause") return [...(items[0]?.causes ?? []), ""];
  return choosing === "reason" ? panels.reasons() : [];
}

function choose(what) {
  choosing = what;
  drawChoice();
}

/** The number of an option: 1 to 9, then 0 for none. */
const numberOf = (option, i) => (option === "" ? "0" : i < 9 ? String(i + 1) : "");

function chosen(option) {
  const what = choosing;
  choosing = "";
  drawChoice();
  if (what === "cause") decide("failure", { cause: option });
  else decide(items[0].outcome, { usable: false, reason: option });
}

function drawChoice() {
  const box = find("#choice"),
    shown = options().map((option, i) => ({ option, key: numberOf(option, i) }));
  setHidden(box, choosing === "");
  setHidden(find("#decide"), choosing !== "");
  if (!choosing) return;
  setText(find("h3", box), word(choosing === "cause" ? "review.cause" : "review.unusable_why"));
  find(".list", box).replaceChildren(
    ...shown.map(({ option, key }) =>
      make(
        "button",
        { type: "button", click: () => chosen(option) },
        make("kbd", { text: key }),
        make("span", {
          class: "data",
          text: option ? capital(readable(option)) : word("review.cause_none"),
        }),
      ),
    ),
  );
}

// -- the keyboard

const PLAYING = {
  " ": () => player.toggle(),
  k: () => player.pause(),
  j: () => player.shuttle(-1),
  l: () => player.shuttle(1),
  Home: () => player.go(player.from_s),
  End: () => player.go(player.to_s),
  "[": () => jump(-1),
  "]": () => jump(1),
  ",": () => player.step(-1),
  ".": () => player.step(1),
};
const ACTS = {
  s: "success",
  f: "failure",
  u: "unusable",
  n: "note",
  z: "undo",
  Enter: "next",
  "?": "help",
  p: "panels",
};

function byKey(event) {
  if (
    !active ||
    !allowed ||
    dialogIsOpen() ||
    event.ctrlKey ||
    event.altKey ||
    event.metaKey ||
    event.isComposing
  )
    return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key,
    typing = event.target.closest?.(TYPED);
  if (key === "Escape") return escape(typing);
  if (typing || (["Enter", " "].includes(key) && event.target.closest?.("button, a, summary")))
    return;
  moved_ms = performance.now();
  if (choosing) {
    const i = options().findIndex((option, n) => numberOf(option, n) === key);
    if (i >= 0) {
      event.preventDefault();
      chosen(options()[i]);
      return;
    }
  }
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const forward = key === "ArrowRight" ? 1 : -1;
    if (event.shiftKey) player.go(player.at_s + forward);
    else player.step(forward);
  } else if (key in PLAYING) PLAYING[key]();
  else if (key in ACTS && !event.repeat) act(ACTS[key]);
  else return;
  event.preventDefault();
}

function escape(typing) {
  if (typing) typing.blur();
  else if (choosing) choose("");
  else panels.close();
}

function noteKey(event) {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  event.stopPropagation();
  event.target.blur();
}

function help() {
  const rows = [
    ["S", "success"],
    ["F 1-9", "failure"],
    ["U 1-9", "unusable"],
    ["N", "note"],
    ["Z", "undo"],
    ["Enter", "next"],
    [word("key.space"), "play"],
    ["← →", "frame"],
    ["⇧ ← →", "second"],
    ["J K L", "speed"],
    ["[ ]", "finding"],
    ["Home End", "ends"],
    ["P", "panels"],
    ["Esc", "close"],
    ["?", "help"],
  ];
  open(word("review.help"), [
    make(
      "dl",
      { class: "keys-help" },
      ...rows.flatMap(([key, does]) => [
        make("dt", {}, ...key.split(" ").map((one) => make("kbd", { text: one }))),
        make("dd", { text: word(`review.key_${does}`) }),
      ]),
    ),
  ]);
}

// -- the claims

function watchClaims() {
  const item = items[0];
  if (!item || !active) return;
  const left_s = item.until_s - now_s();
  setText(find("#claim .text"), word("review.claim", { left: clock(left_s, false) }));
  setData(find("#claim"), "low", left_s < 60 ? "yes" : "no");
  const now_ms = performance.now();
  if (now_ms - kept_ms > KEEP_MS && isThere()) keepClaims(now_ms);
  else if (left_s < 0) lost(items.map(({ claim }) => claim));
}

async function keepClaims(now_ms) {
  kept_ms = now_ms;
  const answer = await post("/api/review/keep", { claims: items.map(({ claim }) => claim) }).catch(
    () => null,
  );
  if (!answer?.ok) return;
  for (const item of items) if (!answer.lost?.includes(item.claim)) item.until_s = answer.until_s;
  if (answer.lost?.length) lost(answer.lost);
}

function lost(claims) {
  const first = items[0];
  for (const item of items.filter(({ claim }) => claims.includes(claim))) {
    items.splice(items.indexOf(item), 1);
    drop(item);
  }
  if (items[0] !== first) {
    draw();
    message("refused", word("review.claim_lost"));
  }
  fetchIfThere();
}

// -- drawing

function message(kind, text) {
  setData(find("#review-said"), "said", kind);
  setText(find("#review-said .done"), kind === "done" ? text : "");
  setText(find("#review-said .refused"), kind === "refused" ? text : "");
}

function drawUnsaved() {
  setText(
    find("#session .text"),
    word(unsaved ? "review.saving" : "review.sessions", { count: number(decided) }),
  );
  setIcon(find("#session .icon"), unsaved ? "countdown" : "success");
}

function draw() {
  const item = items[0];
  setHidden(find("#review-take"), !item);
  setHidden(find("#review-empty"), Boolean(item));
  setText(find("#review-empty h2"), word(empty ? "review.empty" : "review.loading"));
  setHidden(find("#review-empty p"), !empty);
  setHidden(find("#claim"), !item);
  drawUnsaved();
  drawChoice();
  drawAhead();
  const film = item ? films.get(item.claim) : null;
  if (player.film !== film || !item) player.show(film ?? null);
  if (!item) return;
  find("#review-take").dataset.id = item.id;
  setText(find("#take-id"), item.id);
  setText(find("#take-instruction"), item.instruction || readable(item.task));
  setIcon(find("#claim .icon"), "countdown");
  watchClaims();
  drawFacts(item);
  drawOpinions(item);
  drawFindings(item, film);
  drawStrips(film);
  film.on("told", () => {
    if (items[0] !== item) return;
    drawFindings(item, film);
    drawStrips(film); // the axis may be another one
  });
  film.on("curves", () => items[0] === item && drawStrips(film));
}

function drawFacts(item) {
  const badge = find("#take-verdict");
  setData(badge, "value", item.verdict);
  setIcon(badge.firstElementChild, item.verdict);
  setText(badge.lastElementChild, named("verdict", item.verdict));
  const labelled = find("#take-outcome");
  setHidden(labelled, !item.outcome);
  setData(labelled, "value", item.outcome ?? "");
  setIcon(labelled.firstElementChild, item.outcome ?? "unlabelled");
  setText(
    labelled.lastElementChild,
    word("review.labelled", {
      outcome: `${named("outcome", item.outcome ?? "unlabelled")}${item.cause ? `: ${readable(item.cause)}` : ""}`,
    }),
  );
  const second = find("#take-why"),
    why = item.adjudicate ? "adjudicate" : item.why;
  setData(second, "value", why);
  setIcon(
    second.firstElementChild,
    why === "adjudicate" || why === "second" ? "compare" : "information",
  );
  setText(second.lastElementChild, word(`review.why.${why}`));
  setText(find("#take-sentence"), item.sentence ?? "");
  const facts = {
    operator: item.operator,
    robot: `${item.site} / ${item.robot ?? ""}`,
    task: readable(item.task),
    start: Number.isFinite(item.start_s) ? dateAndTime(item.start_s) : "",
    duration: clock(item.duration_s),
    size: item.size_bytes ? bytes(item.size_bytes) : "",
  };
  keyed(
    find("#take-facts"),
    Object.entries(facts).filter(([, text]) => text),
    ([name]) => name,
    ([name]) =>
      make("div", {}, make("dt", { text: word(`episode.${name}`) }), make("dd", { class: "data" })),
    (element, [, text]) => setText(element.lastElementChild, text),
  );
}

function drawOpinions(item) {
  const opinions = item.adjudicate ? (item.opinions ?? []) : [];
  setHidden(find("#opinions"), !opinions.length);
  find("#opinions ol").replaceChildren(
    ...opinions.map(({ outcome, cause, usable, reason, note }) => {
      const what =
        usable === false
          ? `${word("outcome.unusable")}: ${readable(reason)}`
          : `${named("outcome", outcome)}${cause ? `: ${readable(cause)}` : ""}`;
      return make("li", { class: "data", text: note ? `${what} (${note})` : what });
    }),
  );
}

function drawFindings(item, film) {
  const findings = (film.findings ?? item.findings ?? []).map((finding, i) => ({ ...finding, i }));
  const timed = findings.filter(({ at_s }) => Number.isFinite(at_s));
  marks = timed.map(({ at_s }) => at_s).sort((a, b) => a - b);
  setHidden(find("#no-findings"), findings.length > 0);
  find("#findings").replaceChildren(...findings.map(findingRow));
  const annotations = item.annotations ?? [];
  find("#axis .marks").replaceChildren(
    ...annotations.map(({ name, start_s, end_s }) =>
      placed(
        make("span", { class: "segment", title: readable(name) }),
        player.share(start_s),
        player.share(end_s) - player.share(start_s),
      ),
    ),
    ...timed.map(({ at_s, level, sentence }) =>
      placed(make("span", { class: "mark", data: { level }, title: sentence }), player.share(at_s)),
    ),
  );
  drawTime(player.at_s);
}

function findingRow({ sentence, stream, check, level, at_s }) {
  const timed = Number.isFinite(at_s);
  const content = [
    make("span", { class: "icon", "aria-hidden": "true" }),
    make("span", { class: "data", text: sentence || `${readable(check)} ${readable(stream)}` }),
    make("span", { class: "when", text: timed ? clock(at_s) : word("review.whole") }),
  ];
  setIcon(content[0], level === "fail" ? "reject" : "warning");
  const row = timed
    ? make("button", { type: "button", click: () => player.go(at_s) }, ...content)
    : make("p", {}, ...content);
  return make("li", { data: { level } }, row);
}

function placed(element, at, width = null) {
  element.style.left = `${100 * Math.min(1, Math.max(0, at))}%`;
  if (width !== null) element.style.width = `${100 * Math.min(1, width)}%`;
  return element;
}

function drawStrips(film) {
  const holder = find("#curves .strips");
  if (film.curves?.length) drawCurves(holder, film.curves, (at_s) => player.share(at_s));
  else
    holder.replaceChildren(
      make("p", {
        class: "soft data",
        text:
          film.curves || film.curves_problem
            ? film.curves_problem || word("review.no_curves")
            : word("review.curves_wait"),
      }),
    );
}

/** The nearest finding before or behind the cursor. */
function jump(direction) {
  const at_s = player.at_s;
  const to =
    direction > 0
      ? marks.find((mark) => mark > at_s + 0.02)
      : marks.findLast((mark) => mark < at_s - 0.02);
  player.pause();
  if (to !== undefined) player.go(to);
}

function drawTime(at_s) {
  const axis = find("#axis");
  find("#review-take").style.setProperty("--at", player.share(at_s));
  axis.setAttribute("aria-valuemin", player.from_s.toFixed(2));
  axis.setAttribute("aria-valuemax", player.to_s.toFixed(2));
  axis.setAttribute("aria-valuenow", at_s.toFixed(2));
  const text = word("review.frame_of", { at: clock(at_s), length: clock(player.to_s) });
  axis.setAttribute("aria-valuetext", text);
  setText(find("#time"), text);
}

function drawSpeed(speed) {
  setText(
    find("#speed"),
    speed ? word("review.speed", { speed: number(speed) }) : word("review.paused"),
  );
}

function scrubByPointer(axis) {
  const go = ({ clientX }) => {
    const { left, width } = axis.getBoundingClientRect();
    player.go(player.from_s + (player.length_s * (clientX - left)) / width);
  };
  axis.addEventListener("pointerdown", (event) => {
    player.pause();
    axis.setPointerCapture(event.pointerId);
    go(event);
  });
  axis.addEventListener(
    "pointermove",
    (event) => axis.hasPointerCapture(event.pointerId) && go(event),
  );
}
