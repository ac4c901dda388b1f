// The row of buttons, and the recorder's answers to them. A button shows an answer, never a guess.

import { order, post } from "./api.js";
import { ask } from "./dialog.js";
import { find, make, setData, setHidden, setText } from "./dom.js";
import { icon, setIcon } from "./icons.js";
import { link } from "./link.js";
import { regains } from "./regain.js";
import { keyName, onLanguage, sentence, word } from "./words.js";

// command: states in which it means something
const MEANT = {
  step: ["ready", "recording", "verdict", "reset"],
  success: ["recording", "verdict", "reset", "ready", "paused", "done"],
  failure: ["recording", "verdict", "reset", "ready", "paused", "done"],
  next: ["recording"],
  retry: ["recording", "verdict", "reset", "ready", "done"],
  discard: ["countdown", "recording", "verdict", "reset", "ready", "paused", "done"],
  undo: ["recording", "verdict", "reset", "ready", "paused", "done"],
  pause: ["countdown", "verdict", "reset", "ready", "paused"],
  end: ["countdown", "verdict", "reset", "ready", "paused", "done"],
};
const ICONS = { next: "stop" };
const OF_A_TAKE = ["success", "failure", "retry"]; // need one that there is

const buttons = new Map();
const pending = new Set();
let me = null;

export function setUpCommands(who) {
  me = who;
  const row = find("#commands");
  for (const command of Object.keys(MEANT)) {
    const button = make(
      "button",
      {
        type: "button",
        class: "command",
        data: { command },
        click: (event) => pressed(event, command),
      },
      make("span", { class: "icon", "aria-hidden": "true" }),
      make("span", { class: "name" }),
      make("span", { class: "what data" }),
      make("span", { class: "keys", "aria-hidden": "true" }),
    );
    button.addEventListener("keydown", (event) => event.repeat && event.preventDefault());
    buttons.set(command, button);
    row.append(button);
  }
  find("#answer-take").addEventListener("click", takeOver);
  onLanguage(() => {
    showKeys();
    draw();
  });
  link.on("state", draw);
  link.on("link", draw);
  showKeys();
  draw();
}

function pressed(event, command) {
  if (event.detail > 0) event.currentTarget.blur(); // else the next Space would press it again
  give({ command });
}

/** Whether this page may give commands at all, or the word that says why not. */
function whyNot() {
  if (link.status !== "ok") return "operate.not_connected";
  if (!["operator", "admin"].includes(me.role)) return "operate.only_looks";
  if (regains()) return "holder.returning";
  return isHeld() ? "operate.others_hold" : "";
}

function meant(command, shift) {
  if (!shift || !MEANT[command].includes(shift.state)) return false;
  if (OF_A_TAKE.includes(command) && shift.state !== "recording" && !shift.episode_id) return false;
  if (command === "discard" && shift.state === "ready" && !shift.episode_id) return false;
  return command !== "undo" || shift.undo !== "";
}

/** Give a command, {command, cause}; ending a shift is asked about first. */
export async function give({ command, cause = "" }) {
  const shift = link.state?.shift,
    name = nameOf(command, shift),
    why = whyNot();
  if (why) {
    show("refused", `${name}: ${word(why)}`, why === "operate.others_hold");
    shown.offline = link.status !== "ok";
    return;
  }
  const given = `${command} ${cause}`.trim(); // a cause may be named before the failure is answered
  if (pending.has(given)) return show("waiting", `${name}: ${word("operate.waiting")}`);
  if (!shift || shift.state === "idle")
    return show("refused", `${name}: ${word("operate.no_shift")}`);
  if (command === "end" && !(await sure(shift))) return;
  pending.add(given);
  show("waiting", `${name}: ${word("operate.waiting")}`);
  draw();
  try {
    const shown = shift.episode_id || "none";
    const answer = await order("/api/command", { command, cause, note: "", shown });
    if (!answer) show("refused", `${name}: ${word("operate.no_answer")}`);
    else
      show(
        answer.ok ? "ok" : "refused",
        `${name}: ${answer.message || word(answer.ok ? "operate.done" : "operate.refused")}`,
        answer.status === 409 && isHeld(),
      );
  } catch (error) {
    show("refused", `${name}: ${error.message}`);
  } finally {
    pending.delete(given);
    draw();
  }
}

const isHeld = () => Boolean(link.state?.holder && !link.state.holder.me) && !regains();

function sure(shift) {
  const counted = { counted: shift?.counted ?? 0, target: shift?.target || "∞" };
  return ask(word("command.end"), word("operate.end_sure", counted), word("command.end"), true);
}

/** Ask whoever wants the buttons of somebody else, and take them; return whether this page has them. */
export async function takeOver() {
  const { holder, teleop } = link.state ?? {};
  if (holder && !holder.me) {
    const drives = Object.values(teleop?.hands ?? {}).includes("follows"),
      sure = word(drives ? "holder.take_drives" : "holder.take_sure", {
        user: holder.user || word("holder.someone"),
      });
    if (!(await ask(word("holder.take"), sure, word("holder.take")))) return false;
  }
  return hold(true);
}

/** Take the buttons, or let them go; return whether that was done. The header shows who has them. */
export async function hold(take) {
  try {
    const { ok, message } = await post("/api/hold", { take }, 10000);
    if (ok) show("none", "");
    else show("refused", message || word("operate.refused"));
    return ok;
  } catch {
    show("refused", word("operate.no_answer"));
    return false;
  }
}

/** Show why a press at another screen, a pedal or a headset was refused; this page's own has its answer. */
export function hearRefusal(values) {
  const box = find("#answer .refused");
  if (pending.size === 0 && !box.textContent.includes(values.why ?? ""))
    show("refused", sentence("refused", values));
}

/** Show an answer: `kind` is none, waiting, ok or refused. */
export function show(kind, text, offerTake = false) {
  const box = find("#answer");
  shown = { state: link.state?.shift?.state, at_ms: performance.now(), offline: false };
  setData(box, "answer", kind);
  setIcon(
    find(".icon", box),
    { ok: "success", refused: "reject", waiting: "countdown" }[kind] ?? "information",
  );
  setText(find(".done", box), kind === "refused" ? "" : text);
  setText(find(".refused", box), kind === "refused" ? text : "");
  setHidden(find("#answer-take"), !offerTake);
}

function nameOf(command, shift) {
  if (command === "step") return word(`step.${shift?.state ?? "idle"}`);
  if (command === "pause" && shift?.state === "paused") return word("command.resume");
  return word(`command.${command}`);
}

/** What undo would do; empty: nothing. */
function undoOf(shift) {
  if (!shift?.undo_take) return "";
  const number = String(shift.undo_take);
  if (shift.undo_restores) return word("command.undo_restores", { number });
  return word("command.undo_outcome", { number, outcome: word(`outcome.${shift.undo_outcome}`) });
}

function iconOf(command, shift) {
  if (command === "step") return shift?.state === "recording" ? "success" : "start";
  if (command === "pause" && shift?.state === "paused") return "resume";
  return ICONS[command] ?? command;
}

export function draw() {
  const shift = link.state?.shift ?? null,
    blocked = whyNot() !== "";
  for (const [command, button] of buttons) {
    setIcon(find(".icon", button), iconOf(command, shift));
    setText(find(".name", button), nameOf(command, shift));
    setText(find(".what", button), command === "undo" ? undoOf(shift) : "");
    const disabled = blocked || !meant(command, shift);
    if (button.disabled !== disabled) button.disabled = disabled;
    setData(button, "pending", pending.has(command) ? "yes" : "no");
    if (command === "step") setData(button, "step", shift?.state ?? "idle");
    button.setAttribute("aria-busy", String(pending.has(command)));
  }
  drawHolderNotice();
  forgetOld(shift);
}

let shown = { state: "", at_ms: 0, offline: false };

/** A refusal is no news any more once the shift has gone on. */
function forgetOld(shift) {
  const old = performance.now() - shown.at_ms > 3000 && shown.state !== shift?.state;
  if (
    (old || (shown.offline && link.status === "ok")) &&
    find("#answer").dataset.answer === "refused"
  )
    show("none", "");
}

let wasHeld = false;

/** Say as long as somebody else has the buttons that they do, and offer them. */
function drawHolderNotice() {
  const held = isHeld(),
    box = find("#answer"),
    begins = held && !wasHeld;
  wasHeld = held;
  if (held && (begins || box.dataset.answer === "none"))
    show(
      "held",
      word("holder.other", { user: link.state.holder.user || word("holder.someone") }),
      me.role !== "inspector",
    );
  else if (!held && box.dataset.answer === "held") show("none", "");
}

// -- keys

/** All gestures that give a command, as [key, gesture]. */
function gesturesOf(command) {
  const found = [];
  for (const [key, does] of Object.entries(me.keys ?? {}))
    for (const [gesture, bound] of Object.entries(does))
      if ((bound?.command ?? bound) === command && !bound?.cause) found.push([key, gesture]);
  return found;
}

/** The shortest way to give a command by a key, in words; empty: none. */
export function keyOf(command) {
  const order_ = ["press", "long", "double"];
  const [first] = gesturesOf(command).sort(
    (a, b) => order_.indexOf(a[1]) - order_.indexOf(b[1]) || a[0].length - b[0].length,
  );
  return first ? word(`key.${first[1]}`, { key: keyName(first[0]) }) : "";
}

function showKeys() {
  for (const [command, button] of buttons) {
    const name = keyOf(command);
    setText(find(".keys", button), name);
    setHidden(find(".keys", button), name === "");
    const press = gesturesOf(command).find(([, gesture]) => gesture === "press");
    if (press)
      button.setAttribute("aria-keyshortcuts", press[0] === " " ? "Space" : press[0].toUpperCase());
  }
}
