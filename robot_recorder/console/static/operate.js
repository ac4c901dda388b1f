// The page that an operator looks at all day: where the shift is, what is next, how the take was.

import { get } from "./api.js";
import { drawAgent, drawBars, drawDisk } from "./bars.js";
import { drawCameras, setUpCameras, showCameras } from "./cameras.js";
import { give, hearRefusal, keyOf, setUpCommands } from "./commands.js";
import { dialogIsOpen } from "./dialog.js";
import { find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import { Gestures, modified, typing } from "./keys.js";
import { link } from "./link.js";
import { Pace } from "./pace.js";
import { drawStreams } from "./streams.js";
import { startClock } from "./take_clock.js";
import {
  capital,
  currentLanguage,
  isCheck,
  number,
  onLanguage,
  reason,
  time,
  word,
} from "./words.js";

const pace = new Pace();
let active = false;
let tasks = new Map(); // id: task, with its instruction in other languages
let toldVerdict = null; // last verdict that was said, {episode_id, event, values}
let discarded = ""; // id of the take that was moved to the trash last

export function setUpOperate(me) {
  setUpCommands(me);
  setUpCameras();
  startClock();
  new Gestures(
    me.keys,
    () => active,
    (bound) => bound && give({ command: bound.command ?? bound, cause: bound.cause ?? "" }),
  );
  addEventListener("keydown", chooseCause, true);
  link.on("state", (state) => active && draw(state));
  link.on("said", hearSaid);
  onLanguage(() => active && link.state && draw(link.state));
}

export function enter() {
  active = true;
  showCameras(true);
  if (link.state) draw(link.state);
}

export function leave() {
  active = false;
  showCameras(false);
}

function hearSaid({ event, values }) {
  const id = link.state?.shift?.episode_id ?? "";
  if (["accept", "review", "reject", "unknown"].includes(event))
    toldVerdict = { id, event, values };
  if (event === "discard") discarded = id;
  if (event === "restore" || event === "start") discarded = "";
  if (event === "refused") hearRefusal(values ?? {});
  if (active && link.state) draw(link.state);
}

function draw(state) {
  const { shift } = state;
  drawState(state);
  drawProgress(shift, state.now_s);
  drawTask(shift);
  drawVerdict(state);
  drawCauses(shift);
  drawStreams(state.streams);
  drawCameras(state.streams);
  drawBars(state.bars);
  drawDisk(state.recorder);
  drawAgent(state.agent_alarms);
}

// -- state

function drawState({ shift, recorder }) {
  const box = find("#state"),
    name = shift?.state ?? "unheard";
  setData(box, "state", name);
  setIcon(find(".icon", box), name);
  setText(find(".word", box), word(`state.${name}`));
  const trouble = troubleOf(recorder, name);
  setData(box, "trouble", trouble ? "yes" : "no");
  setText(find(".hint", box), trouble || hint(shift, name));
}

/** What is wrong with the recorder, which matters more than what to do next. */
function troubleOf(recorder, name) {
  if (recorder && !recorder.heard) return word("operate.recorder_lost");
  if (recorder?.episodes_left === 0) return word("disk.full");
  if (name !== "recording" || !recorder) return "";
  const all = [...(recorder.limping ?? []), ...(recorder.warnings ?? [])];
  return all.length > 1
    ? `${all[0]} ${word("stream.more", { count: all.length - 1 })}`
    : (all[0] ?? "");
}

function hint(shift, name) {
  const keys = Object.fromEntries(
    ["step", "success", "failure", "pause", "end", "discard"].map((command) => [
      command,
      keyOf(command) || word(`command.${command}`),
    ]),
  );
  keys.finish = keyOf("step") || keys.success;
  if (name === "verdict" && shift.outcome === "unlabelled") return word("hint.verdict_open", keys);
  return word(`hint.${name}`, keys);
}

// -- progress

function drawProgress(shift, now_s) {
  const running = shift && shift.state !== "idle",
    box = find("#progress");
  setHidden(box, !running);
  if (!running) return;
  pace.observe(shift, now_s ?? Date.now() / 1000);
  setText(find("#counted"), number(shift.counted));
  setText(find("#target"), String(shift.target));
  setText(
    find("#of"),
    shift.target ? word("operate.of", { target: number(shift.target) }) : word("operate.no_end"),
  );
  const bar = find("#bar"),
    share = shift.target ? Math.min(1, shift.counted / shift.target) : 0;
  setHidden(bar, !shift.target);
  bar.setAttribute("aria-label", word("operate.progress"));
  bar.setAttribute("aria-valuemax", shift.target || 1);
  bar.setAttribute("aria-valuenow", Math.min(shift.counted, shift.target || 1));
  bar.firstElementChild.style.width = `${100 * share}%`;
  setText(find("#pace"), paceText(shift));
  setText(find("#warm-up"), word("operate.warm_up", { count: number(shift.warm_up) }));
  setHidden(find("#warm-up"), !shift.warm_up);
}

function paceText(shift) {
  const taken = word("operate.taken", { taken: number(shift.taken) }),
    per_hour = pace.per_hour;
  if (per_hour === null) return taken;
  const left = shift.target - shift.counted;
  const parts = [taken, word("operate.pace", { pace: number(per_hour) })];
  if (shift.target && left > 0)
    parts.push(
      word("operate.reached_at", { time: time(Date.now() / 1000 + (3600 * left) / per_hour) }),
    );
  return parts.join(" · ");
}

// -- task

let asked = "";

/** Look up how the registry says a task in other languages, once for each task. */
async function learnTask(id) {
  if (!id || asked === id) return;
  asked = id;
  try {
    const answer = await get("/api/prepare");
    tasks = new Map(answer.tasks.map((task) => [task.id, task]));
    if (active && link.state) drawTask(link.state.shift);
  } catch {
    setTimeout(() => {
      asked = "";
    }, 10000); // the recorded instruction is shown until then
  }
}

function drawTask(shift) {
  const running = shift && shift.state !== "idle",
    box = find("#task");
  setHidden(box, !running);
  if (!running) return;
  learnTask(shift.task);
  const translated =
    currentLanguage() === "en"
      ? ""
      : (tasks.get(shift.task)?.variants?.[currentLanguage()]?.[0] ?? "");
  setText(find(".instruction", box), translated || shift.instruction || shift.task);
  setText(
    find(".recorded", box),
    translated && translated !== shift.instruction ? shift.instruction : "",
  );
  setText(find("#task-id"), shift.task);
  setText(find("#task-operator"), shift.operator);
  setText(find("#task-station"), shift.station);
}

// -- verdict and outcome

function drawVerdict({ shift }) {
  const box = find("#verdict"),
    idle = !shift || shift.state === "idle";
  setHidden(find("#no-shift"), !idle);
  const shows = !idle && shift.episode_id !== "" && shift.state !== "recording";
  setHidden(find(".said", box), !shows);
  setData(box, "empty", idle || shows ? "no" : "yes");
  const verdict = shows ? shift.verdict : "none";
  setData(box, "verdict", verdict);
  setData(box, "discarded", shows && discarded === shift.episode_id ? "yes" : "no");
  if (!shows) {
    setText(find(".word", box), "");
    return;
  }
  setIcon(find(".said .icon", box), verdict);
  setText(find(".word", box), word(`verdict.${verdict}`));
  const own = shift.verdict_sentence.replace(/^(accept|review|reject|unknown): /, "");
  const told = toldSentence(shift);
  setText(find(".sentence", box), told || own);
  setText(find(".detail", box), told && told !== own ? own : "");
  drawOutcome(shift);
}

/** Why the verdict is so in the page's language; empty: only the recorder's words are known. */
function toldSentence(shift) {
  if (
    currentLanguage() === "en" ||
    toldVerdict?.id !== shift.episode_id ||
    toldVerdict.event !== shift.verdict
  )
    return "";
  const { why, stream } = toldVerdict.values ?? {};
  return why && isCheck(why) ? capital(reason(why, stream)) : "";
}

function drawOutcome(shift) {
  const box = find("#outcome"),
    gone = discarded === shift.episode_id;
  setData(box, "outcome", gone ? "discarded" : shift.outcome);
  setIcon(find(".icon", box), gone ? "trash" : shift.outcome);
  const cause = shift.cause ? `: ${causeName(shift.cause)}` : "";
  setText(
    find(".text", box),
    gone
      ? word("outcome.discarded")
      : word(uncounted(shift) ? "outcome.uncounted" : `outcome.${shift.outcome}`) + cause,
  );
}

const uncounted = (shift) => shift.outcome === "success" && shift.verdict === "reject";

export const causeName = (cause) => cause.replaceAll("_", " ");

// -- causes of a failure

const asksWhy = (shift) =>
  Boolean(
    shift &&
    shift.outcome === "failure" &&
    shift.episode_id &&
    shift.causes?.length &&
    discarded !== shift.episode_id &&
    ["verdict", "reset", "ready", "paused", "done"].includes(shift.state),
  );

function drawCauses(shift) {
  const box = find("#causes"),
    asks = asksWhy(shift);
  setHidden(box, !asks);
  keyed(
    find(".list", box),
    asks ? shift.causes : [],
    (cause) => cause,
    makeCause,
    (button, cause) => {
      button.setAttribute("aria-pressed", String(cause === shift.cause));
      const place = shift.causes.indexOf(cause) + 1;
      setText(button.firstElementChild, place < 10 ? String(place) : "");
    },
  );
}

function makeCause(cause) {
  return make(
    "button",
    {
      type: "button",
      data: { cause },
      click: (event) => {
        if (event.detail > 0) event.currentTarget.blur();
        give({ command: "failure", cause });
      },
    },
    make("kbd"),
    make("span", { class: "data", text: causeName(cause) }),
  );
}

/** Digits choose a cause while causes are asked for, before any other meaning of the key. */
function chooseCause(event) {
  const shift = link.state?.shift;
  if (
    !active ||
    !/^[1-9]$/.test(event.key) ||
    event.repeat ||
    modified(event) ||
    typing(event) ||
    dialogIsOpen() ||
    !asksWhy(shift)
  )
    return;
  const cause = shift.causes[Number(event.key) - 1];
  if (cause === undefined) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  give({ command: "failure", cause });
}
