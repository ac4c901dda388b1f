// Texts of the pages: a word's key, its values, and the language they are written in.

import { all, setText } from "./dom.js";
import { bytes, number, writeAs } from "./formats.js";
import { fill, harmless } from "./templates.js";
import { EN } from "./words_en.js";

export { bytes, clock, dateAndTime, hours, number, percent, time } from "./formats.js";

// Another language is another module of the same keys, chosen here.
const words = EN;
writeAs("en");

/** The text of a key; a key without one shows itself. */
export function word(key, values = {}) {
  return Object.hasOwn(words, key) ? fill(words[key], harmless(values)) : key;
}

export const hasWord = (key) => Object.hasOwn(words, key);

/** Set the texts of all elements that name one. */
export function translate(root) {
  for (const element of all("[data-word]", root)) setText(element, word(element.dataset.word));
  for (const element of all("[data-word-label]", root))
    element.setAttribute("aria-label", word(element.dataset.wordLabel));
  for (const element of all("[data-word-hint]", root))
    element.setAttribute("placeholder", word(element.dataset.wordHint));
}

/** A duration in its largest unit: 40 s, 12 min, 5 h, 3 d; "-" if unknown. */
export function span(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "-";
  const s = Math.max(0, seconds);
  if (s < 90) return word("span.s", { count: number(s) });
  if (s < 5400) return word("span.min", { count: number(s / 60) });
  if (s < 36 * 3600) return word("span.h", { count: number(s / 3600) });
  return word("span.d", { count: number(s / 86400) });
}

/** Room on a disk: the hours it lasts if they are known, else what is free. */
export function room(status) {
  if (Number.isFinite(status.disk_full_in_s))
    return word("wall.disk_left", { span: span(status.disk_full_in_s) });
  if (Number.isFinite(status.disk_free_bytes))
    return word("wall.disk_free", { free: bytes(status.disk_free_bytes, 0) });
  return word("wall.disk_unknown");
}

/** An id as people read it. */
export const readable = (id) => String(id ?? "").replaceAll("_", " ");

/** A first letter in upper case. */
export const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

/** A known word of a kind, else the value as it is. */
export const named = (kind, value) =>
  hasWord(`${kind}.${value}`) ? word(`${kind}.${value}`) : capital(readable(value));
