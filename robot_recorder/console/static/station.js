// Whether the station is fit: the start gate's findings with remedies, clocks, the profile's check.

import { get, post } from "./api.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import { redrawNote } from "./prepare.js";
import { number, onLanguage, word } from "./words.js";

const AGAIN_MS = 4000;
const ICONS = { stop: "reject", warn: "review", ok: "accept" };
const ORDER = ["stop", "warn", "ok"];

let active = false;
let timer = 0;
let newest = null; // last answer; null: none yet
let failed = "";

/** Whether nothing stops a take; null: not known. */
export const stationOk = () => newest?.ok ?? null;

export function setUpStation() {
  find("#check-again").addEventListener("click", look);
  find("#check-profile").addEventListener("click", checkProfile);
  onLanguage(() => active && draw());
}

export function enterStation() {
  active = true;
  look();
}

export function leaveStation() {
  active = false;
  clearTimeout(timer);
}

async function look() {
  clearTimeout(timer);
  try {
    newest = await get("/api/check");
    failed = "";
  } catch (error) {
    newest = null;
    failed = error.message;
  }
  if (!active) return;
  draw();
  redrawNote();
  timer = setTimeout(() => (document.hidden ? enterStation() : look()), AGAIN_MS);
}

function draw() {
  const sum = find("#check-sum"),
    findings = [...(newest?.findings ?? [])];
  const bad = findings.filter(({ severity }) => severity === "stop").length,
    warned = findings.filter(({ severity }) => severity === "warn").length;
  const kind = !newest ? "unknown" : !newest.ok ? "stop" : warned ? "warn" : "ok";
  setData(sum, "check", kind);
  setIcon(find(".icon", sum), ICONS[kind] ?? "unknown");
  setText(
    find(".text", sum),
    failed || word(`check.${kind}`, { bad: number(bad), warned: number(warned) }),
  );
  findings.sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
  keyed(
    find("#findings"),
    findings,
    ({ name, sentence }) => `${name} ${sentence}`,
    makeFinding,
    fillFinding,
  );
  drawClocks(newest?.clocks ?? []);
}

function makeFinding() {
  return make(
    "li",
    {},
    make("span", { class: "icon" }),
    make(
      "div",
      {},
      make(
        "p",
        { class: "name" },
        make("strong", { class: "data" }),
        make("span", { class: "severity" }),
      ),
      make("p", { class: "sentence data" }),
      make("p", { class: "remedy data" }),
    ),
  );
}

function fillFinding(row, finding) {
  setData(row, "severity", finding.severity);
  setIcon(find(".icon", row), ICONS[finding.severity]);
  setText(find("strong", row), finding.name);
  setText(find(".severity", row), word(`severity.${finding.severity}`));
  setText(find(".sentence", row), finding.sentence ?? "");
  setText(find(".remedy", row), finding.remedy ?? "");
}

function drawClocks(clocks) {
  const box = find("#clocks .table");
  setHidden(find("#clocks"), clocks.length === 0);
  const head = make(
    "tr",
    {},
    ...["stream", "offset", "stamp"].map((name) =>
      make("th", { scope: "col", text: word(`clocks.${name}`) }),
    ),
  );
  const rows = clocks.map(({ name, offset_ms, stamp }) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", class: "data", text: name }),
      make("td", {
        text:
          offset_ms === null
            ? word("unknown")
            : word("milliseconds", { value: number(offset_ms, 1) }),
      }),
      make("td", { class: "data", text: stamp ?? "" }),
    ),
  );
  box.replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}

async function checkProfile() {
  const button = find("#check-profile"),
    progress = find("#profile-progress"),
    begun_ms = performance.now();
  button.disabled = true;
  find("#profile-lines").replaceChildren();
  const count = () =>
    setText(
      progress,
      word("prepare.checking", { seconds: number((performance.now() - begun_ms) / 1000) }),
    );
  count();
  const counting = setInterval(count, 1000);
  try {
    const answer = await post("/api/check/profile", {});
    setText(progress, word(answer.ok ? "prepare.profile_ok" : "prepare.profile_bad"));
    const lines = answer.lines?.length ? answer.lines : [answer.message].filter(Boolean);
    find("#profile-lines").replaceChildren(
      ...lines.map((text) => make("li", { class: "data", text })),
    );
  } catch {
    setText(progress, word("operate.no_answer"));
  } finally {
    clearInterval(counting);
    button.disabled = false;
  }
}
