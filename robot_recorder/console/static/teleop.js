// The page for a headset: who may drive, what the robot does with each hand, and the button into VR.

import { begin, connect } from "./begin.js";
import { takeOver } from "./commands.js";
import { find, make, setData, setText } from "./dom.js";
import { showPage } from "./header.js";
import { endSession, inSession, setUpHeadset, startSession, vrProblem } from "./headset.js";
import { keep, kept } from "./keep.js";
import { link } from "./link.js";
import { regains } from "./regain.js";
import { headFirst, setUpView, showCamera, showLine } from "./view.js";
import { number, onLanguage, sentence, word } from "./words.js";

const SIDES = ["left", "right"];
const GRAVE = ["refused", "reject", "aborted", "lost", "disk", "recorder_lost"];
const NEWS = ["countdown", "start"]; // what was told before is over then

let me = null;
let problem = "unknown"; // why there is no VR; empty: there is
let failed = ""; // the last attempt's error
let cameras = "";
let told = ["soft", ""]; // what was said last, and its colour: the person in the headset may hear nothing

async function boot() {
  me = await begin();
  if (!me) return;
  showPage("teleop");
  setUpView(find("#view"));
  setUpHeadset({ canvas: find("#view"), mayDrive, changed: draw });
  find("#enter-vr").addEventListener("click", enter);
  find("#answer-take").addEventListener("click", takeOver);
  find("#teleop-camera").addEventListener("change", ({ target }) => {
    keep("teleop_camera", target.value);
    showCamera(target.value);
  });
  link.on("state", draw);
  link.on("link", draw);
  link.on("said", tell);
  onLanguage(() => {
    cameras = "";
    draw();
  });
  connect();
  problem = await vrProblem();
  draw();
}

function tell({ event, values }) {
  told = [GRAVE.includes(event) ? "bad" : "soft", NEWS.includes(event) ? "" : sentence(event, values ?? {})];
  draw();
}

const isDriver = () => ["operator", "admin"].includes(me.role);

/** Whether what the headset measures moves the robot: the server asks the same. */
const mayDrive = () => link.status === "ok" && Boolean(link.state?.holder?.me);

async function enter() {
  failed = "";
  if (inSession()) return endSession();
  if (!link.state?.holder?.me && !(await takeOver())) return;
  try {
    await startSession(); // soon after a press, or the browser refuses it
  } catch (error) {
    failed = error.message;
  }
  draw();
}

function draw() {
  if (!link.state) return;
  const { teleop, streams, robot } = link.state,
    state = vrState();
  document.title = [word("nav.teleop"), robot].filter(Boolean).join(" · ");
  setData(find("#vr-state"), "vr", state);
  setText(find("#vr-state"), word(`teleop.vr_${state}`, { why: failed }));
  const button = find("#enter-vr");
  setText(button, word(inSession() ? "teleop.leave" : "teleop.enter"));
  button.disabled = problem !== "" || !isDriver() || regains() || link.status !== "ok";
  for (const side of SIDES) {
    const does = teleop?.hands[side] ?? "no_teleop";
    setData(find(`#hand-${side}`), "hand", does);
    setText(find(`#hand-${side}`), word(`teleop.${does}`));
  }
  const p95 = teleop?.p95_ms ?? null;
  setText(
    find("#teleop-latency"),
    p95 === null ? word("unknown") : word("milliseconds", { value: number(p95) }),
  );
  setText(find("#teleop-told"), told[1]);
  drawCameras(streams);
  showLine(line());
}

function vrState() {
  if (inSession()) return "in";
  if (failed) return "failed";
  if (!isDriver()) return "only_looks";
  return problem === "" ? "ready" : problem;
}

/** What is shown below the picture, also in the headset: [colour, text]s; state, what was said, hands. */
function line() {
  const { shift, teleop, holder } = link.state;
  if (link.status !== "ok") return [["bad", word(`link.${link.status}`)]];
  if (!holder?.me)
    return [["bad", holder ? word("holder.other", { user: holder.user || word("holder.someone") }) : word("holder.nobody")]];
  const of = shift?.target ? ` ${shift.counted}/${shift.target}` : "",
    state = shift?.state ?? "unheard";
  const hand = (side) => {
    const does = teleop?.hands[side] ?? "no_teleop";
    return [does === "follows" ? "good" : "soft", `${word(`teleop.${side}`)}: ${word(`teleop.${does}`)}`];
  };
  return [
    [state === "recording" ? "live" : "soft", `${word(`state.${state}`)}${of}`],
    told,
    hand("left"),
    hand("right"),
  ];
}

function drawCameras(streams) {
  const names = streams.filter((stream) => stream.camera).map((stream) => stream.name);
  if (names.join("\n") === cameras) return;
  cameras = names.join("\n");
  const wanted = kept("teleop_camera", ""),
    chosen = names.includes(wanted) ? wanted : headFirst(names);
  find("#teleop-camera").replaceChildren(
    ...names.map((name) => make("option", { value: name, text: name, selected: name === chosen })),
  );
  showCamera(chosen);
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
