// Texts in the language of the page; from config/words/<language>.yaml.

import { all, setText } from "./dom.js";
import { writeAs } from "./formats.js";
import { keep, kept } from "./keep.js";
import { fill, harmless } from "./templates.js";

export { bytes, clock, dateAndTime, hours, number, percent, time } from "./formats.js";

export const LANGUAGES = { en: "English", zh: "中文", de: "Deutsch" };

let language = "en";
let words = { say: {}, check: {}, page: {} };
const listeners = [];

export const currentLanguage = () => language;
export const onLanguage = (listener) => listeners.push(listener);

/** Choose the language that was kept, else the given one, else the browser's. */
export async function firstLanguage(given) {
  const wanted = [
    kept("language", null),
    given,
    ...(navigator.languages ?? []).map((tag) => tag.slice(0, 2)),
    "en",
  ];
  await setLanguage(wanted.find((tag) => tag in LANGUAGES));
}

export async function setLanguage(chosen, remember = false) {
  const answer = await fetch(`/words/${chosen}.json`);
  if (!answer.ok) throw new Error(`the texts of '${chosen}' cannot be loaded: ${answer.status}`);
  words = await answer.json();
  language = chosen;
  writeAs(chosen);
  if (remember) keep("language", chosen);
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : chosen;
  translate(document);
  for (const listener of listeners) listener(chosen);
}

/** Set the texts of all elements that name one. */
function translate(root) {
  for (const element of all("[data-word]", root)) setText(element, word(element.dataset.word));
  for (const element of all("[data-word-label]", root))
    element.setAttribute("aria-label", word(element.dataset.wordLabel));
}

const ID_PLACES = ["stream", "cause", "task"]; // heard better without underscores

/** The page's text of a key; a key without one shows itself. */
export function word(key, values = {}) {
  if (!Object.hasOwn(words.page, key)) return key;
  return fill(words.page[key], harmless(values));
}

/** Whether the page has a text of this key. */
const hasWord = (key) => Object.hasOwn(words.page, key);

export const isCheck = (id) => Object.hasOwn(words.check, id);

/** A check's short phrase, or the sentence itself where it is no check's id. */
export function reason(why, stream = "") {
  const phrase = isCheck(why)
    ? fill(words.check[why], { stream: stream.replaceAll("_", " ") })
    : why;
  return phrase.trim().replace(/[.!?。！？]+$/, "");
}

/** What is said about an event, in the page's language; empty: nothing. */
export function sentence(event, values) {
  if (!Object.hasOwn(words.say, event)) return "";
  const filled = { ...values };
  for (const name of ID_PLACES)
    if (typeof filled[name] === "string") filled[name] = filled[name].replaceAll("_", " ");
  if (filled.why !== undefined) filled.why = reason(String(filled.why), values.stream ?? "");
  return capital(fill(words.say[event], filled));
}

export const capital = (text) => text.slice(0, 1).toLocaleUpperCase(language) + text.slice(1);

// -- a browser's names of keys

export function keyName(key) {
  const named = key === " " ? "key.space" : `key.${key.toLowerCase()}`;
  if (hasWord(named)) return word(named);
  return key.length === 1 ? key.toUpperCase() : key;
}
