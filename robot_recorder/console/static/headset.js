// A session in a headset: its poses and buttons to the robot, the view on a wall ahead of the operator.

import { link } from "./link.js";
import { makeWall } from "./wall.js";

const MOST_BACKLOG = 2000; // bytes; poses that would only come late are left out
const BUTTONS = { trigger: 0, grip: 1, stick: 3, lower: 4, upper: 5 }; // of WebXR's xr-standard

let options = null;
let session = null;
let space = null; // the headset's own
let stand = null; // where the operator stood and looked first, {x, z, yaw}; null: not known yet
let wall = null;

export const inSession = () => session !== null;

/** `canvas` is shown in the headset, `mayDrive` tells whether to send, `changed` hears of a begin or end. */
export function setUpHeadset(given) {
  options = given;
}

/** Why a session cannot begin: "insecure", "none" (no WebXR or no headset), or "". */
export async function vrProblem() {
  if (!window.isSecureContext) return "insecure";
  const there = await navigator.xr?.isSessionSupported("immersive-vr").catch(() => false);
  return there ? "" : "none";
}

export async function startSession() {
  const begun = await navigator.xr.requestSession("immersive-vr", {
    requiredFeatures: ["local-floor"],
  });
  begun.addEventListener("end", ended);
  session = begun;
  try {
    wall = await makeWall(begun, options.canvas);
    space = await begun.requestReferenceSpace("local-floor");
  } catch (error) {
    await begun.end();
    throw error;
  }
  space.addEventListener("reset", () => {
    stand = null;
  });
  begun.requestAnimationFrame(frame);
  options.changed();
}

export async function endSession() {
  await session?.end();
}

function ended() {
  session = space = stand = wall = null;
  options.changed();
}

function frame(time_ms, shown) {
  const { session: own } = shown;
  if (own !== session) return;
  own.requestAnimationFrame(frame);
  const viewer = shown.getViewerPose(space);
  if (viewer) stand ??= standOf(viewer.transform);
  if (!stand) return;
  if (options.mayDrive() && own.visibilityState === "visible" && link.backlog < MOST_BACKLOG)
    link.send({ type: "hands", t: rounded(time_ms), head: numbers(viewer), ...hands(shown) });
  if (viewer) wall.draw(viewer, stand);
}

function standOf({ position, orientation: q }) {
  const yaw = Math.atan2(2 * (q.x * q.z + q.w * q.y), 1 - 2 * (q.x * q.x + q.y * q.y));
  return { x: position.x, z: position.z, yaw };
}

function hands(shown) {
  const found = { left: null, right: null };
  for (const { handedness, gripSpace, gamepad } of session.inputSources) {
    if (!(handedness in found) || !gripSpace || !gamepad) continue;
    const { buttons } = gamepad,
      value = (name) => rounded(buttons[BUTTONS[name]]?.value ?? 0),
      down = (name) => buttons[BUTTONS[name]]?.pressed ?? false;
    found[handedness] = {
      pose: numbers(shown.getPose(gripSpace, space)),
      axes: [value("trigger"), value("grip")],
      buttons: [down("lower"), down("upper"), down("stick")],
    };
  }
  return found;
}

/** A pose as seven numbers, seen from where the operator stands; null: not tracked, or guessed. */
function numbers(pose) {
  if (!pose || pose.emulatedPosition) return null;
  const { position, orientation: q } = pose.transform,
    x = position.x - stand.x,
    z = position.z - stand.z,
    cos = Math.cos(stand.yaw),
    sin = Math.sin(stand.yaw),
    c = Math.cos(stand.yaw / 2),
    s = -Math.sin(stand.yaw / 2); // half a turn back about y
  const place = [cos * x - sin * z, position.y, sin * x + cos * z],
    turn = [c * q.x + s * q.z, c * q.y + s * q.w, c * q.z - s * q.x, c * q.w - s * q.y];
  return [...place, ...turn].map(rounded);
}

const rounded = (value) => Math.round(value * 1e6) / 1e6;
