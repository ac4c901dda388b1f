// Beside the take: what waits, how far inspectors agree, quotas, recalls.

import { get, post } from "./api.js";
import { ask, open } from "./dialog.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { dateAndTime, number, percent, readable, span, word } from "./words.js";

const AGAIN_MS = 15000;
const SOON_MS = 300; // decisions come in bursts
const PREVIEW_MS = 250;
const MOST_ROWS = 8;
const FALLBACK = [
  "wrong_task",
  "operator_error",
  "sensor_broken",
  "bad_view",
  "incomplete",
  "other",
];

let me = null;
let changed = () => {};
let active = false;
let timer = 0;
let queue = null;

export const reasons = () => queue?.reasons ?? FALLBACK;

export function setUp(who, told) {
  me = who;
  changed = told.changed;
  find("#recall").addEventListener("click", recallDialog);
  setHidden(find("#set-quota"), me.role !== "admin");
  find("#set-quota").addEventListener("click", quotaDialog);
}

export function enter() {
  active = true;
  read();
}

export function leave() {
  active = false;
  clearTimeout(timer);
}

export function refresh() {
  if (!active) return;
  clearTimeout(timer);
  timer = setTimeout(read, SOON_MS);
}

export function toggle() {
  const box = find("#review-desk");
  setData(box, "panels", box.dataset.panels === "open" ? "closed" : "open");
}

export function close() {
  setData(find("#review-desk"), "panels", "closed");
}

async function read() {
  clearTimeout(timer);
  const known = async (path) => get(path).catch(() => null);
  const [told, agreement, quotas, recalls] = await Promise.all(
    ["queue", "agreement", "quotas", "recall"].map((name) => known(`/api/review/${name}`)),
  );
  queue = told ?? queue;
  drawQueue(told);
  drawAgreement(agreement);
  drawQuotas(quotas?.quotas ?? []);
  drawRecalls(recalls?.recalls ?? []);
  if (active) timer = setTimeout(read, AGAIN_MS);
}

/** Rows of a name, a number, and a bar of its share. */
function bars(holder, rows) {
  const most = Math.max(1, ...rows.map(({ most: own, value }) => own ?? value));
  keyed(
    holder,
    rows.slice(0, MOST_ROWS),
    ({ name }) => name,
    () =>
      make(
        "li",
        { class: "bar-row" },
        make("span", { class: "name data" }),
        make("span", { class: "value" }),
        make("span", { class: "track", "aria-hidden": "true" }, make("span")),
      ),
    (element, { name, value, text, most: own, level }) => {
      const [label, number_, track] = element.children;
      setText(label, name);
      setText(number_, text ?? number(value));
      setData(element, "level", level ?? "calm");
      track.firstElementChild.style.transform = `scaleX(${Math.min(1, value / (own ?? most))})`;
    },
  );
}

const counted = (counts, kind) =>
  Object.entries(counts ?? {})
    .filter(([, value]) => value)
    .sort(([, a], [, b]) => b - a)
    .map(([name, value]) => ({ name: kind ? word(`${kind}.${name}`) : readable(name), value }));

function drawQueue(told) {
  setText(find("#queue-open"), told ? number(told.open) : "-");
  setText(
    find("#open-count .text"),
    told ? word("review.open", { count: number(told.open) }) : "-",
  );
  const age = told?.oldest_s
    ? word("review.oldest", { span: span(Date.now() / 1000 - told.oldest_s) })
    : "";
  setText(
    find("#queue-more"),
    told
      ? [
          word("review.queue_more", {
            claimed: told.claimed,
            second: told.second,
            adjudicate: told.adjudicate,
          }),
          age,
        ]
          .filter(Boolean)
          .join(" · ")
      : "",
  );
  setText(
    find("#mine"),
    told?.mine
      ? word("review.mine", { today: number(told.mine.today), all: number(told.mine.all) })
      : "",
  );
  bars(find("#queue-why"), counted(told?.by_why, "review.why"));
  bars(find("#queue-tasks"), counted(told?.by_task));
  suggest("#review-tasks", Object.keys(told?.by_task ?? {}));
  suggest("#review-sites", Object.keys(told?.by_site ?? {}));
}

function suggest(list, names) {
  keyed(
    find(list),
    names.slice(0, 200),
    (name) => name,
    (name) => make("option", { value: name }),
    () => {},
  );
}

function drawAgreement(told) {
  const mine =
      told?.inspectors?.find(({ name }) => name === me.user) ??
      (me.role === "admin" ? told?.all : null),
    known = Boolean(mine?.n) && Number.isFinite(mine.kappa);
  setText(find("#kappa"), known ? number(mine.kappa, 2) : "-");
  const range =
    known && Number.isFinite(mine.low) ? `${number(mine.low, 2)} … ${number(mine.high, 2)}` : "";
  setText(
    find("#kappa-means"),
    known
      ? word("review.agreement_text", { count: number(mine.n), range, share: percent(mine.agree) })
      : word("review.agreement_none"),
  );
  const rows = (told?.pairs ?? []).filter(({ kappa }) => Number.isFinite(kappa));
  bars(
    find("#pairs"),
    rows.map(({ first, second, n, kappa }) => ({
      name: `${first} · ${second}`,
      value: Math.max(0, kappa),
      most: 1,
      text: `${number(kappa, 2)} (${n})`,
      level: kappa < 0.6 ? "maybe" : "good",
    })),
  );
}

function drawQuotas(quotas) {
  setHidden(find("#no-quotas"), quotas.length > 0);
  bars(
    find("#quotas"),
    quotas.map(({ site, task, per, good, target, full }) => ({
      name: [
        readable(task) || word("episodes.any"),
        site,
        per === "day" ? word("review.per_day") : "",
      ]
        .filter(Boolean)
        .join(" · "),
      value: good,
      most: target,
      text: `${number(good)} / ${number(target)}`,
      level: full ? "good" : "calm",
    })),
  );
}

function drawRecalls(recalls) {
  setHidden(find("#no-recalls"), recalls.length > 0);
  keyed(
    find("#recalls"),
    recalls.slice(0, 5),
    ({ recall }) => recall,
    () =>
      make(
        "li",
        {},
        make("span", { class: "data" }),
        make("small", { class: "data" }),
        make("span", { class: "track", "aria-hidden": "true" }, make("span")),
        make("button", { type: "button", text: word("review.recall_undo") }),
      ),
    (element, one) => {
      const [name, state, track, back] = element.children;
      setHidden(back, !["recalled", "recalling"].includes(one.state));
      back.onclick = () => undoRecall(one);
      setText(name, one.reason);
      setText(
        state,
        [
          word(`review.recall.${one.state}`),
          word("review.recall_running", { done: number(one.done), count: number(one.found) }),
          one.by,
          dateAndTime(one.at_s),
          one.problem,
        ]
          .filter(Boolean)
          .join(" · "),
      );
      track.firstElementChild.style.transform = `scaleX(${one.found ? Math.min(1, one.done / one.found) : 0})`;
    },
  );
}

async function undoRecall({ recall, reason }) {
  const sure = await ask(
    word("review.recall_undo"),
    word("review.recall_undo_hint", { reason }),
    word("review.recall_undo"),
  );
  if (!sure) return;
  await post("/api/review/recall/undo", { recall, reason: "" }).catch(() => {}); // its state says what became of it
  refresh();
}

// -- quotas

function quotaDialog() {
  const labelled = (key, input) => make("label", {}, make("span", { text: word(key) }), input);
  const text = (name, list) =>
    make("input", {
      name,
      id: `quota-${name}`,
      list,
      maxlength: 64,
      autocomplete: "off",
      required: name === "task",
    });
  const per = make(
    "select",
    { name: "per", id: "quota-per" },
    ...["all", "day"].map((value) =>
      make("option", { value, text: word(`review.quota_${value}`) }),
    ),
  );
  const target = make("input", {
    name: "target",
    id: "quota-target",
    type: "number",
    min: 0,
    max: 10000000,
    value: 100,
    required: true,
  });
  const refused = make("p", { class: "refused data", role: "alert" });
  const form = make(
    "form",
    {},
    make(
      "div",
      { class: "fields" },
      labelled("episodes.task", text("task", "review-tasks")),
      labelled("episodes.site", text("site", "review-sites")),
    ),
    labelled("review.quota_per", per),
    labelled("review.quota_target", target),
    refused,
    make(
      "div",
      { class: "buttons" },
      make("button", { type: "submit", class: "primary", text: word("review.save") }),
    ),
  );
  const dialog = open(word("review.set_quota"), [form]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { task, site } = form.elements;
    const body = {
      task: task.value.trim(),
      site: site.value.trim(),
      per: per.value,
      target: Number(target.value),
    };
    const told = await post("/api/review/quotas", body).catch((error) => ({
      ok: false,
      message: error.message,
    }));
    if (!told.ok) return setText(refused, told.message);
    dialog.close();
    refresh();
  });
}

// -- recall

const FIELDS = ["task", "site", "robot", "operator", "version", "since", "until"];

function recallDialog() {
  const input = (name) =>
    make(
      "label",
      {},
      make("span", { text: word(`episodes.${name}`) }),
      make("input", {
        name,
        id: `recall-${name}`,
        type: ["since", "until"].includes(name) ? "date" : "text",
        autocomplete: "off",
        maxlength: 200,
        list: name === "task" ? "review-tasks" : name === "site" ? "review-sites" : null,
      }),
    );
  const reason = make("input", {
    name: "reason",
    id: "recall-reason",
    required: true,
    maxlength: 500,
    autocomplete: "off",
  });
  const preview = make("p", { id: "recall-count", role: "status" });
  const refused = make("p", { class: "refused data", role: "alert" });
  const go = make("button", {
    type: "submit",
    class: "danger",
    id: "recall-go",
    disabled: true,
    text: word("review.recall"),
  });
  const form = make(
    "form",
    {},
    make("div", { class: "fields" }, ...FIELDS.map(input)),
    make(
      "label",
      {},
      make("span", { text: word("review.recall_reason") }),
      reason,
      make("small", { text: word("review.recall_reason_hint") }),
    ),
    preview,
    refused,
    make("div", { class: "buttons" }, go),
  );
  const dialog = open(word("review.recall_title"), [
    make("p", { class: "soft", text: word("review.recall_hint") }),
    form,
  ]);
  dialog.classList.add("recall");
  let waiting = 0,
    newest = 0,
    count = 0;
  const body = (dry) => ({
    reason: reason.value.trim(),
    dry,
    filter: Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()])),
  });
  const show = async () => {
    const mine = ++newest,
      { filter } = body(true);
    count = 0;
    go.disabled = true;
    setText(refused, "");
    setText(preview, "");
    if (!Object.values(filter).some(Boolean)) return;
    const told = await post("/api/review/recall", {
      ...body(true),
      reason: reason.value.trim() || "-",
    }).catch((error) => ({ ok: false, message: error.message }));
    if (mine !== newest) return;
    if (!told.ok) return setText(refused, told.message);
    count = told.count;
    const shown = told.capped
      ? word("review.more_than", { count: number(count - 1) })
      : number(count);
    setText(
      preview,
      count ? word("review.recall_preview", { count: shown }) : word("review.recall_preview_none"),
    );
    setText(go, word("review.recall_go", { count: shown }));
    go.disabled = !count || !reason.value.trim();
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    go.disabled = true;
    waiting = setTimeout(show, PREVIEW_MS);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    const told = await post("/api/review/recall", body(false)).catch((error) => ({
      ok: false,
      message: error.message,
    }));
    if (!told.ok) {
      go.disabled = false;
      return setText(refused, told.message);
    }
    dialog.close();
    setData(find("#review-desk"), "panels", "open");
    refresh();
    changed();
  });
  form.elements.task.focus();
}
