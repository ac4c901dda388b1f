// What is heard: an event's tone, then its sentence. Browsers stay silent until a first gesture.

import { kept, keep } from "./keep.js";
import { currentLanguage, sentence } from "./words.js";

const VOICES = { en: "en-US", zh: "zh-CN", de: "de-DE" };
const URGENT = ["start", "countdown"]; // what was said before is old news then
const MOST_WAITING = 4;
const LONGEST = 240; // characters that are spoken

let on = { tones: true, speech: true };
let quiet = new Set();
let context = null;
let touched = false; // there was a gesture
const tones = new Map(); // event: its decoded sound, or null where there is none
const changed = [];

export const soundOn = () => on;
export const onSound = (listener) => changed.push(listener);

/** Whether a gesture is needed before anything can be heard. */
export const needsGesture = () => (on.tones || on.speech) && !awake();

const awake = () => (context ? context.state === "running" : touched);

/** @param me answer of /api/me: `tones`, `speech`, and `quiet`, the events that stay silent */
export function setUpSound(me) {
  on = { tones: kept("tones", me.tones !== false), speech: kept("speech", me.speech !== false) };
  quiet = new Set(me.quiet ?? []);
  context = "AudioContext" in window ? new AudioContext({ latencyHint: "interactive" }) : null;
  context?.addEventListener("statechange", tell);
  for (const gesture of ["pointerdown", "keydown"])
    addEventListener(gesture, unlock, { capture: true, passive: true });
  window.speechSynthesis?.getVoices(); // some browsers load them only when asked
  tell();
}

export function unlock() {
  const first = !touched;
  touched = true;
  if (context && context.state !== "running") context.resume().catch(() => {});
  if (first) tell();
}

export function switchSound(name, value) {
  on = { ...on, [name]: value };
  keep(name, value);
  if (name === "speech" && !value) window.speechSynthesis?.cancel();
  tell();
}

/** Make an event heard. */
export function hear(event, values) {
  if (quiet.has(event)) return;
  if (on.tones) play(event);
  if (on.speech) speak(event, sentence(event, values));
}

/** Whether this browser can speak the page's language; null: it does not know yet. */
export function canSpeak() {
  const voices = window.speechSynthesis?.getVoices() ?? [];
  if (!window.speechSynthesis) return false;
  return voices.length ? voices.some(speaks) : null;
}

const speaks = (voice) => voice.lang.toLowerCase().replace("_", "-").startsWith(currentLanguage());

async function play(event) {
  if (!context || !awake()) return;
  if (!tones.has(event)) tones.set(event, load(event));
  const buffer = await tones.get(event);
  if (!buffer) return;
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
}

async function load(event) {
  try {
    const answer = await fetch(`/tones/${encodeURIComponent(event)}.wav`);
    return answer.status === 200 ? await context.decodeAudioData(await answer.arrayBuffer()) : null;
  } catch {
    tones.delete(event); // the connection may be back next time
    return null;
  }
}

let waiting = 0;

function speak(event, text) {
  const speech = window.speechSynthesis;
  if (!speech || !text || !awake() || canSpeak() === false) return;
  if (URGENT.includes(event) || waiting >= MOST_WAITING) {
    speech.cancel();
    waiting = 0;
  }
  const utterance = new SpeechSynthesisUtterance(text.slice(0, LONGEST));
  utterance.lang = VOICES[currentLanguage()];
  utterance.voice = speech.getVoices().find(speaks) ?? null;
  utterance.rate = 1.15;
  waiting++;
  utterance.onend = utterance.onerror = () => {
    waiting = Math.max(0, waiting - 1);
  };
  speech.speak(utterance);
}

function tell() {
  for (const listener of changed) listener();
}
