// One take of the review: what is known of it, its history, its report, and decisions about it.

import { get, post } from "./api.js";
import { open } from "./dialog.js";
import { find, make, setHidden, setText } from "./dom.js";
import { icon } from "./icons.js";
import { causeName } from "./operate.js";
import { bytes, clock, dateAndTime, number, onLanguage, word } from "./words.js";

const WAIT_MS = 120; // before asking for a take that may only be passed on the way to the next
const AGAIN_MS = 2000; // after an answer that failed

let heard = { changed: () => {}, marked: () => {} };
let episode = null; // as in the list
let whole = null; // with history and causes
let later = 0;
let marks = []; // ids to be compared, at most two

export const compared = () => marks;

/** @param listeners `changed`: after a decision; `marked`: when another take is to be compared */
export function setUpTake(listeners) {
  heard = listeners;
  onLanguage(() => episode && draw());
}

export function showTake(next) {
  const same = episode?.id === next.id;
  if (same && JSON.stringify(episode) === JSON.stringify(next)) return;
  episode = next;
  if (!same) {
    whole = null;
    closeReport();
  }
  draw();
  clearTimeout(later);
  later = setTimeout(read, WAIT_MS);
}

export function closeTake() {
  episode = whole = null;
  clearTimeout(later);
  closeReport();
  setText(find("#take-title"), word("review.choose"));
  find("#take .content").replaceChildren();
}

async function read() {
  const { id } = episode;
  try {
    const answer = await get(`/api/episodes/${encodeURIComponent(id)}`);
    if (episode?.id !== id) return;
    whole = answer;
    draw();
  } catch (error) {
    if (episode?.id !== id) return;
    say(error.message);
    later = setTimeout(read, AGAIN_MS);
  }
}

// -- drawing

function draw() {
  const focused = document.activeElement?.dataset?.act;
  setText(find("#take-title"), episode.task || word("review.no_task"));
  find("#take .content").replaceChildren(
    make("p", {
      class: "instruction data",
      dir: "auto",
      text: whole?.instruction || episode.instruction || "",
    }),
    make(
      "p",
      { class: "badges" },
      badge(
        episode.trashed ? "discarded" : episode.outcome,
        (episode.trashed ? word("outcome.discarded") : word(`outcome.${episode.outcome}`)) +
          (episode.cause ? `: ${causeName(episode.cause)}` : ""),
        episode.trashed ? "trash" : episode.outcome,
      ),
      badge(episode.verdict, word(`verdict.${episode.verdict}`), episode.verdict),
    ),
    make("p", {
      class: "sentence data",
      lang: "en",
      text: (whole?.verdict_sentence ?? episode.verdict_sentence ?? "").replace(
        /^(accept|review|reject): /,
        "",
      ),
    }),
    facts(),
    buttons(),
    make("p", { id: "take-said", class: "banner", role: "alert", hidden: true }),
    history(),
  );
  if (focused) find(`[data-act="${focused}"]`)?.focus({ preventScroll: true });
}

function badge(value, text, shape) {
  return make(
    "span",
    { class: "badge", data: { value } },
    make("span", { class: "icon" }, icon(shape)),
    make("span", { class: "text data", text }),
  );
}

function facts() {
  const rows = [
    ["operator", episode.operator],
    ["when", episode.start_s === null ? "" : dateAndTime(episode.start_s)],
    ["duration", clock(episode.duration_s)],
    ["size", bytes(episode.size_bytes)],
    ["lost_messages", episode.lost === null ? word("unknown") : number(episode.lost)],
    ["id", episode.id],
  ];
  return make(
    "dl",
    { class: "facts" },
    ...rows.map(([name, value]) =>
      make(
        "div",
        {},
        make("dt", { text: word(`review.${name}`) }),
        make("dd", { class: "data", text: value || "-" }),
      ),
    ),
  );
}

function buttons() {
  const button = (does, shape, key, shown = true) =>
    shown &&
    make(
      "button",
      { type: "button", data: { act: does }, "aria-keyshortcuts": key, click: () => act(does) },
      icon(shape),
      make("span", { text: word(`review.do_${does}`) }),
      make("kbd", { "aria-hidden": "true", text: key }),
    );
  const mark = marks.includes(episode.id);
  return make(
    "div",
    { class: "acts" },
    ...[
      make(
        "button",
        { type: "button", class: "primary", data: { act: "report" }, click: openReport },
        icon("information"),
        make("span", { text: word("review.do_report") }),
      ),
      button("success", "success", "S", !episode.trashed),
      button("failure", "failure", "F", !episode.trashed),
      button("discard", "discard", "D", !episode.trashed),
      button("restore", "undo", "R", episode.trashed),
      button("compare", "compare", "C"),
    ]
      .filter(Boolean)
      .map((one) => {
        if (one.dataset.act === "compare") one.setAttribute("aria-pressed", String(mark));
        return one;
      }),
  );
}

function history() {
  const entries = whole?.id === episode.id ? (whole.history ?? []) : [];
  if (!entries.length) return null;
  return make(
    "details",
    { class: "history", open: true },
    make("summary", { text: word("review.history", { count: number(entries.length) }) }),
    make(
      "ol",
      {},
      ...entries.map((entry) =>
        make(
          "li",
          {},
          make("span", { class: "when", text: dateAndTime(entry.when_s) }),
          make("strong", { class: "data", text: entry.by || word("unknown") }),
          make("span", {
            class: "data",
            text: [
              entry.what,
              entry.previous ? word("review.before", { previous: entry.previous }) : "",
              entry.note,
            ]
              .filter(Boolean)
              .join(" · "),
          }),
        ),
      ),
    ),
  );
}

function say(text) {
  const box = find("#take-said");
  if (!box) return;
  setText(box, text);
  setHidden(box, text === "");
}

// -- the report

export function openReport() {
  if (!episode) return;
  const box = find("#report");
  if (box.dataset.episode === episode.id) return find("iframe", box)?.focus();
  const frame = make("iframe", {
    sandbox: "allow-scripts",
    src: `/api/episodes/${encodeURIComponent(episode.id)}/report`,
    title: word("review.report_of", { id: episode.id }),
    referrerpolicy: "no-referrer",
  });
  box.dataset.episode = episode.id;
  box.replaceChildren(frame);
  frame.addEventListener("load", () => frame.scrollIntoView({ block: "nearest" }), { once: true });
}

/** Close the report; false: none was open. */
export function closeReport() {
  const box = find("#report");
  if (!box.dataset.episode) return false;
  delete box.dataset.episode;
  box.replaceChildren();
  return true;
}

// -- decisions

/** Do what a key or a button says: success, failure, discard, restore, compare. */
export function act(does) {
  if (!episode) return;
  if (does === "compare") return compare();
  if (does === "restore") return episode.trashed ? decide("restore", {}) : null;
  if (episode.trashed) return say(word("review.in_trash"));
  if (does === "discard") return askNote("discard", []);
  askNote(does, does === "failure" ? (whole?.causes ?? []) : []);
}

/** Ask why, with a list of causes where there is one; Enter decides. */
function askNote(does, causes) {
  const note = make("input", { name: "note", maxlength: 500, autocomplete: "off" });
  const before =
    episode.outcome === "failure" && causes.includes(episode.cause) ? episode.cause : "";
  const list = causes.length
    ? make(
        "fieldset",
        { class: "causes" },
        make("legend", { text: word("operate.why") }),
        ...["", ...causes].map((cause, i) =>
          make(
            "label",
            { class: "check" },
            make("input", {
              type: "radio",
              name: "cause",
              value: cause,
              checked: cause === before,
            }),
            make("kbd", { "aria-hidden": "true", text: String(i) }),
            make("span", {
              class: "data",
              text: cause ? causeName(cause) : word("review.no_cause"),
            }),
          ),
        ),
      )
    : null;
  const form = make(
    "form",
    { method: "dialog", class: "note" },
    list,
    make("label", {}, make("span", { text: word("review.note") }), note),
    make("button", {
      type: "submit",
      value: "yes",
      class: does === "success" ? "primary" : "danger",
      text: word(`review.do_${does}`),
    }),
  );
  const dialog = open(
    word(`review.do_${does}`),
    [make("p", { class: "data", text: `${episode.task} · ${episode.id}` }), form],
    (value) => {
      if (value !== "yes") return;
      const values = new FormData(form),
        body = { note: String(values.get("note") ?? "") };
      if (does === "discard") decide("discard", body);
      else decide("label", { ...body, outcome: does, cause: String(values.get("cause") ?? "") });
    },
  );
  dialog.addEventListener("keydown", (event) => {
    const choice =
      list && !event.target.closest("input[name=note]") && /^[0-9]$/.test(event.key)
        ? list.querySelectorAll("input")[Number(event.key)]
        : null;
    if (choice) choice.checked = true;
  });
  (list?.querySelector(":checked") ?? note).focus();
}

async function decide(what, body) {
  const { id } = episode;
  say("");
  try {
    const answer = await post(`/api/episodes/${encodeURIComponent(id)}/${what}`, body, 20000);
    if (!answer.ok) return episode?.id === id && say(answer.message || word("operate.refused"));
  } catch {
    return episode?.id === id && say(word("operate.no_answer"));
  }
  heard.changed();
  if (episode?.id === id) read();
}

// -- comparing two

function compare() {
  marks = marks.includes(episode.id)
    ? marks.filter((id) => id !== episode.id)
    : [...marks, episode.id].slice(-2);
  draw();
  heard.marked();
  if (marks.length === 2) showComparison();
}

function showComparison() {
  const [first, second] = marks,
    query = new URLSearchParams([
      ["id", first],
      ["id", second],
    ]);
  const text = make("p", { role: "status", text: word("review.comparing") });
  const picture = make("img", {
    class: "comparison",
    alt: word("review.compared", { first, second }),
    src: `/api/compare.png?${query}`,
    load: () => text.remove(),
    error: () => {
      picture.hidden = true;
      setText(text, word("review.not_comparable"));
    },
  });
  open(
    word("review.compare"),
    [make("p", { class: "data", text: `${first} · ${second}` }), text, picture],
    () => {
      marks = [];
      if (episode) draw();
      heard.marked();
    },
  ).classList.add("wide");
}
