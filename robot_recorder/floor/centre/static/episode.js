// One episode: facts, labels and their history, quality, receipt; ask for it first, relabel it.

import { get, post } from "./api.js";
import { ask, open } from "./dialog.js";
import { find, keyed, make, setHidden, setText } from "./dom.js";
import { fillBadge, STATE_SHAPES } from "./episodes.js";
import { setIcon } from "./icons.js";
import {
  bytes,
  capital,
  clock,
  dateAndTime,
  named,
  number,
  percent,
  readable,
  word,
} from "./words.js";

const FRESH_MS = 3000; // an upload is watched

let me = null;
let told = { changed: () => {}, back: () => {} };
let shown = null; // {site, id}
let known = null; // its last answer
let timer = 0;

export function setUpEpisode(who, listeners) {
  me = who;
  told = listeners;
  setIcon(find("#episode-back"), "close");
  find("#episode-back").addEventListener("click", () => told.back());
  find("#want").addEventListener("click", want);
  find("#relabel").addEventListener("click", relabel);
  find("#accept").addEventListener("click", accept);
}

export function closeEpisode() {
  clearTimeout(timer);
  shown = known = null;
  setHidden(find("#episode .content"), true);
  setHidden(find("#episode .none"), false);
}

export function showEpisode(site, id) {
  if (shown?.site === site && shown.id === id) return;
  closeEpisode();
  shown = { site, id };
  read();
}

const path = (rest = "") =>
  `/api/episodes/${encodeURIComponent(shown.site)}/${encodeURIComponent(shown.id)}${rest}`;

async function read() {
  clearTimeout(timer);
  const mine = shown;
  let answer;
  try {
    answer = await get(path());
  } catch (error) {
    if (mine === shown) refuse(error.message);
    return;
  }
  if (mine !== shown) return;
  known = answer;
  refuse("");
  draw(answer);
  if (["offered", "uploading", "verifying"].includes(answer.state))
    timer = setTimeout(read, FRESH_MS);
}

function refuse(text) {
  setText(find("#episode-refused"), text);
}

function draw(one) {
  setHidden(find("#episode .content"), false);
  setHidden(find("#episode .none"), true);
  setText(find("#episode-title"), readable(one.task) || word("episodes.no_task"));
  setText(find("#episode .instruction"), one.instruction ?? "");
  const outcome = one.usable === false ? "unusable" : one.outcome;
  fillBadge(
    find("#episode .outcome"),
    outcome,
    outcome === "unusable" ? "trash" : outcome,
    named("outcome", outcome) + (one.cause ? `: ${readable(one.cause)}` : ""),
  );
  fillBadge(find("#episode .verdict"), one.verdict, one.verdict, named("verdict", one.verdict));
  fillBadge(
    find("#episode .stage"),
    one.state,
    STATE_SHAPES[one.state] ?? "unknown",
    named("state", one.state),
  );
  setText(find("#quality"), one.sentence || word("episode.no_sentence"));
  drawFacts(one);
  drawHistory(one.history ?? []);
  drawReceipt(one.receipt);
  const coming = ["offered", "uploading"].includes(one.state);
  setHidden(find("#want"), !coming || one.wanted || me.role === "operator");
  setHidden(find("#is-wanted"), !coming || !one.wanted);
  setHidden(find("#relabel"), me.role === "operator");
  setHidden(find("#accept"), one.state !== "held" || me.role !== "admin");
  setText(find("#episode-problem"), one.problem ?? "");
}

function pairs(holder, rows) {
  keyed(
    holder,
    rows.filter(([, text]) => text !== "" && text !== null && text !== undefined),
    ([name]) => name,
    ([name]) =>
      make(
        "div",
        { class: `fact-${name}` },
        make("dt", { text: word(`episode.${name}`) }),
        make("dd", { class: "data" }),
      ),
    (element, [, text]) => setText(element.lastElementChild, text),
  );
}

function drawFacts(one) {
  const remarks = [
    one.recovered && word("episode.recovered"),
    one.aborted && word("episode.aborted"),
  ].filter(Boolean);
  pairs(find("#episode-facts"), [
    ["site", one.site],
    ["robot", one.robot],
    ["operator", one.operator],
    ["start", one.start_s === null ? "-" : dateAndTime(one.start_s)],
    ["duration", clock(one.duration_s)],
    ["size", bytes(one.size_bytes)],
    ["messages", number(one.messages)],
    ["lost", one.lost === null ? word("episode.lost_unknown") : number(one.lost)],
    [
      "skew",
      one.skew_p95_ms === null
        ? ""
        : word("episode.skew_text", {
            skew: number(one.skew_p95_ms, 1),
            stream: one.skew_stream ?? "",
          }),
    ],
    ["frames", one.frames ? percent(one.complete / one.frames) : ""],
    ["notes", remarks.join(", ")],
    ["id", one.id],
  ]);
}

function drawHistory(events) {
  setHidden(find("#no-labels"), events.length > 0);
  find("#history").replaceChildren(
    ...events.map(({ when_s, by, via, what, previous, note }) =>
      make(
        "li",
        {},
        make("span", { class: "when", text: dateAndTime(when_s) }),
        make(
          "span",
          { class: "by data" },
          by || "-",
          // The name is what the label itself says; only one that was given here is sure.
          via && via !== "centre" ? make("small", { text: ` (${word(`via.${via}`)})` }) : null,
        ),
        make(
          "span",
          { class: "data" },
          what,
          previous ? make("small", { text: ` (${word("episode.was", { previous })})` }) : null,
          note ? make("small", { class: "note", text: note }) : null,
        ),
      ),
    ),
  );
}

function drawReceipt(receipt) {
  setHidden(find("#no-receipt"), Boolean(receipt));
  pairs(
    find("#receipt"),
    receipt
      ? [
          ["when", dateAndTime(receipt.at_s)],
          ["by", receipt.by],
          ["bytes", bytes(receipt.size_bytes)],
          ["sha", receipt.sha256],
          ["key", receipt.key],
        ]
      : [],
  );
}

async function want() {
  const answer = await post("/api/want", { site: shown.site, ids: [shown.id] }).catch((error) => ({
    ok: false,
    message: error.message,
  }));
  if (!answer.ok) return refuse(answer.message);
  await read();
  told.changed();
}

/** A damaged episode that is held back gets its receipt because a person says so. */
async function accept() {
  const sure = await ask(
    word("episode.accept"),
    word("episode.accept_hint"),
    word("episode.accept"),
    true,
  );
  if (!sure) return;
  const path_ = `/api/ingest/${encodeURIComponent(shown.site)}/${encodeURIComponent(shown.id)}/accept`;
  const answer = await post(path_, {}).catch((error) => ({ ok: false, message: error.message }));
  if (!answer.ok) return refuse(answer.message);
  await read();
  told.changed();
}

function relabel() {
  const mine = shown,
    causes = known.causes ?? [];
  const outcome = make(
    "select",
    { name: "outcome", id: "relabel-outcome" },
    ...["success", "failure", "unlabelled"].map((value) =>
      make("option", { value, text: named("outcome", value), selected: value === known.outcome }),
    ),
  );
  const cause = make("input", {
    name: "cause",
    id: "relabel-cause",
    list: "relabel-causes",
    maxlength: 64,
    autocomplete: "off",
    value: known.cause ?? "",
  });
  const reason = make("input", {
    name: "note",
    id: "relabel-reason",
    required: true,
    maxlength: 500,
    autocomplete: "off",
  });
  const refused = make("p", { class: "refused data", role: "alert" });
  const row = make(
    "label",
    {},
    make("span", { text: word("episode.cause") }),
    cause,
    make(
      "datalist",
      { id: "relabel-causes" },
      ...causes.map((value) => make("option", { value, text: capital(readable(value)) })),
    ),
  );
  const showCause = () => setHidden(row, outcome.value !== "failure");
  outcome.addEventListener("change", showCause);
  showCause();
  const save = make("button", { type: "submit", class: "primary", text: word("episode.relabel") });
  const form = make(
    "form",
    {},
    make("label", {}, make("span", { text: word("episode.outcome") }), outcome),
    row,
    make(
      "label",
      {},
      make("span", { text: word("episode.reason") }),
      reason,
      make("small", { text: word("episode.reason_needed") }),
    ),
    refused,
    make("div", { class: "buttons" }, save),
  );
  const dialog = open(word("episode.relabel"), [
    make("p", { class: "soft data", text: mine.id }),
    form,
  ]);
  outcome.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    const body = {
      outcome: outcome.value,
      cause: outcome.value === "failure" ? cause.value.trim() : "",
      note: reason.value.trim(),
    };
    const answer = await post(path("/label"), body).catch((error) => ({
      ok: false,
      message: error.message,
    }));
    save.disabled = false;
    if (!answer.ok) return setText(refused, answer.message);
    dialog.close();
    await read();
    told.changed();
  });
}
