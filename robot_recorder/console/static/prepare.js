// Before a shift: which task, who, where, how many; and whether the station is fit.

import { get, order } from "./api.js";
import { all, find, keyed, make, setData, setHidden, setText } from "./dom.js";
import { keep, kept } from "./keep.js";
import { link } from "./link.js";
import { enterStation, leaveStation, setUpStation, stationOk } from "./station.js";
import { currentLanguage, LANGUAGES, number, onLanguage, word } from "./words.js";

const NUMBERS = ["warm_up", "countdown_s", "reset_s", "max_take_s"];

let me = null;
let offer = { programmes: [], tasks: [], operators: [], stations: [] };
let chosen = "";
let active = false;
let language = ""; // of the instructions; empty: the page's

const field = (name) => find(`#plan-${name}`);
const taskLanguage = () => language || currentLanguage();

export function setUpPrepare(who) {
  me = who;
  setUpStation();
  for (const id of ["task-search", "task-programme"])
    find(`#${id}`).addEventListener("input", drawTasks);
  find("#task-language").addEventListener("input", (event) => {
    language = event.target.value;
    drawTasks();
    drawInstructions();
  });
  find("#plan").addEventListener("submit", begin);
  field("target").addEventListener("input", drawTarget);
  const settings = kept("plan", {});
  for (const name of NUMBERS) field(name).value = settings[name] ?? 0;
  link.on("state", () => active && drawNote());
  link.on("link", () => active && drawNote());
  onLanguage(() => active && draw());
}

export async function enter() {
  active = true;
  enterStation();
  draw();
  try {
    offer = await get("/api/prepare");
  } catch (error) {
    setText(find("#begin-refused"), error.message);
    return;
  }
  if (!active) return;
  setText(find("#begin-refused"), "");
  const { current = {} } = offer;
  const known = offer.tasks.some((task) => task.id === chosen);
  if (!known) chosen = offer.tasks.some((task) => task.id === current.task) ? current.task : "";
  field("operator").value ||= current.operator || kept("operator", "") || (me.login ? me.user : "");
  field("station").value ||= current.station || kept("station", "");
  draw();
}

export function leave() {
  active = false;
  leaveStation();
}

function draw() {
  drawFilters();
  drawTasks();
  drawInstructions();
  drawTarget();
  drawNote();
  for (const [id, names] of [
    ["operators", offer.operators],
    ["stations", offer.stations],
  ])
    find(`#${id}`).replaceChildren(...names.map((name) => make("option", { value: name })));
}

function drawFilters() {
  const programme = find("#task-programme"),
    before = programme.value;
  programme.replaceChildren(
    make("option", { value: "", text: word("prepare.all") }),
    ...offer.programmes.map(({ id, title }) => make("option", { value: id, text: title || id })),
  );
  programme.value = before;
  if (programme.selectedIndex < 0) programme.value = "";
  const spoken = new Set(offer.tasks.flatMap((task) => Object.keys(task.variants ?? {})));
  const tags = ["en", ...[...spoken].filter((tag) => tag !== "en").sort()];
  find("#task-language").replaceChildren(
    make("option", { value: "", text: word("prepare.page_language") }),
    ...tags.map((tag) => make("option", { value: tag, text: LANGUAGES[tag] ?? tag })),
  );
  find("#task-language").value = language;
}

// -- tasks

/** What a task is called in the chosen language. */
function say(task) {
  const told = task.variants?.[taskLanguage()]?.[0];
  return taskLanguage() === "en" || !told ? task.instruction : told;
}

function drawTasks() {
  const wanted = find("#task-search").value.trim().toLowerCase(),
    programme = find("#task-programme").value;
  const matches = offer.tasks.filter(
    (task) =>
      (!programme || task.programme === programme) &&
      wanted.split(/\s+/).every((part) => textOf(task).includes(part)),
  );
  keyed(find("#task-list"), matches, (task) => task.id, makeTask, fillTask);
  setHidden(find("#task-list"), matches.length === 0);
}

function textOf(task) {
  const variants = Object.values(task.variants ?? {}).flat();
  return [task.id, task.instruction, task.scene, ...(task.objects ?? []), ...variants]
    .join(" ")
    .toLowerCase();
}

function makeTask(task) {
  const radio = make("input", {
    type: "radio",
    name: "task",
    value: task.id,
    change: () => choose(task.id),
  });
  return make(
    "label",
    { class: "task", data: { task: task.id } },
    radio,
    make("span", { class: "instruction data", dir: "auto" }),
    make("span", { class: "id data", text: task.id }),
    make("span", { class: "share" }, make("span")),
    make("span", { class: "count" }),
  );
}

function fillTask(row, task) {
  row.firstElementChild.checked = task.id === chosen;
  setText(find(".instruction", row), say(task));
  find(".instruction", row).lang = task.variants?.[taskLanguage()] ? taskLanguage() : "en";
  const share = task.target ? Math.min(1, task.successes / task.target) : 0;
  find(".share span", row).style.width = `${100 * share}%`;
  setHidden(find(".share", row), !task.target);
  setData(row, "reached", task.target && task.successes >= task.target ? "yes" : "no");
  setText(
    find(".count", row),
    task.target
      ? word("prepare.count", { successes: number(task.successes), target: number(task.target) })
      : word("prepare.successes", { successes: number(task.successes) }),
  );
}

function choose(id) {
  chosen = id;
  field("target").value = "";
  setText(find("#begin-refused"), "");
  drawInstructions();
  drawTarget();
  drawNote();
}

const chosenTask = () => offer.tasks.find((task) => task.id === chosen);

function drawInstructions() {
  const task = chosenTask(),
    list = field("instruction"),
    before = list.value;
  setText(find("#chosen"), task ? say(task) : word("prepare.choose_task"));
  setData(find("#chosen"), "chosen", task ? "yes" : "no");
  const variants = task?.variants?.[taskLanguage()] ?? [];
  list.replaceChildren(
    ...(task
      ? [
          make("option", { value: "", text: task.instruction }),
          ...variants.map((text) => make("option", { value: text, text })),
        ]
      : []),
  );
  list.disabled = !task;
  list.value = before;
  if (list.selectedIndex < 0) list.selectedIndex = 0;
}

function drawTarget() {
  const task = chosenTask(),
    left = task?.target ? Math.max(0, task.target - task.successes) : null;
  field("target").placeholder = left === null ? "∞" : String(left);
  const value = field("target").value;
  const key =
    value === "0"
      ? "prepare.target_none"
      : value !== ""
        ? "prepare.target_given"
        : left === null
          ? "prepare.target_open"
          : "prepare.target_left";
  setText(find("#target-hint"), word(key, { left: number(left ?? 0) }));
}

// -- begin

function drawNote() {
  const shift = link.state?.shift,
    busy = shift && shift.state !== "idle",
    note = find("#begin-note"),
    ok = stationOk();
  const looksOnly = !["operator", "admin"].includes(me.role);
  setText(
    note,
    looksOnly
      ? word("operate.only_looks")
      : link.status !== "ok"
        ? word("operate.not_connected")
        : busy
          ? word("prepare.busy", { operator: shift.operator, task: shift.task })
          : ok === false
            ? word("prepare.station_bad")
            : "",
  );
  find("#begin").disabled =
    looksOnly ||
    busy ||
    !chosen ||
    link.status !== "ok" ||
    find("#begin").dataset.pending === "yes";
}

export function redrawNote() {
  if (active) drawNote();
}

function planOf() {
  const plan = {
    task: chosen,
    instruction: field("instruction").value,
    operator: field("operator").value.trim(),
    station: field("station").value.trim(),
  };
  plan.target = field("target").value === "" ? -1 : Math.round(field("target").valueAsNumber);
  for (const name of NUMBERS) plan[name] = field(name).value === "" ? 0 : field(name).valueAsNumber;
  plan.warm_up = Math.round(plan.warm_up);
  return plan;
}

async function begin(event) {
  event.preventDefault();
  const refused = find("#begin-refused"),
    button = find("#begin");
  if (button.disabled) return;
  const wrong = all("#plan .settings input").find((input) => !input.checkValidity());
  if (wrong) {
    setText(
      refused,
      `${find("span", wrong.closest("label")).textContent}: ${wrong.validationMessage}`,
    );
    return wrong.focus();
  }
  const plan = planOf();
  setText(refused, "");
  pendingIs(true);
  try {
    const answer = await order("/api/begin", plan);
    if (answer?.ok) {
      remember(plan);
      location.hash = "#operate";
    } else
      setText(
        refused,
        answer ? answer.message || word("operate.refused") : word("operate.no_answer"),
      );
  } catch (error) {
    setText(refused, error.message);
  }
  pendingIs(false);
}

function pendingIs(on) {
  setData(find("#begin"), "pending", on ? "yes" : "no");
  find("#begin").setAttribute("aria-busy", String(on));
  drawNote();
}

function remember(plan) {
  keep("operator", plan.operator);
  keep("station", plan.station);
  keep("plan", Object.fromEntries(NUMBERS.map((name) => [name, plan[name]])));
}
