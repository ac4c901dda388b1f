// The picture of one camera with a line of text below it, on a canvas that the headset shows, too.

import { link } from "./link.js";
import { number, onLanguage, word } from "./words.js";

const COLOURS = { good: "#56d364", bad: "#ff8b84", live: "#ff6b6b", soft: "#b4bec9" };
const OLD_MS = 1500; // after which the picture says that it is old
const TEXT_PX = 20;
const ROW_PX = 30;
const PARTS = /[\u2e80-\uffef]|[^\s\u2e80-\uffef]+\s*/g; // what a line may be broken after

let canvas = null;
let context = null;
let camera = "";
let image = null;
let drawn_ms = 0;
let waiting = null;
let busy = false;
let texts = [];

/** Counts up when something else is to be seen. */
export let version = 0;

export function setUpView(element) {
  canvas = element;
  context = canvas.getContext("2d", { alpha: false });
  link.on("picture", ({ header, jpeg }) => picture(header, jpeg));
  link.on("hello", watch);
  onLanguage(paint);
  setInterval(() => performance.now() - drawn_ms > OLD_MS && paint(), 500);
  paint();
}

/** The robot's own view among some cameras; an empty name: there are none. */
export const headFirst = (names) => names.find((name) => name.includes("head")) ?? names[0] ?? "";

export function showCamera(name) {
  if (name === camera) return;
  camera = name;
  image?.close();
  image = null;
  watch();
  paint();
}

/** Show texts, [colour, text] each, below the picture. */
export function showLine(lines) {
  if (JSON.stringify(lines) === JSON.stringify(texts)) return;
  texts = lines;
  paint();
}

function watch() {
  link.send({ type: "watch", streams: camera ? [camera] : [] });
}

async function picture(header, jpeg) {
  if (header.stream !== camera) return link.send({ type: "shown", stream: header.stream });
  waiting = jpeg; // the newest wins
  if (busy) return;
  busy = true;
  while (waiting) {
    const next = waiting;
    waiting = null;
    try {
      const read = await createImageBitmap(new Blob([next], { type: "image/jpeg" }));
      image?.close();
      image = read;
      drawn_ms = performance.now();
      canvas.dataset.stampMs = header.stamp_ms;
    } catch {
      image = null; // the page says that there is none
    }
    paint();
    link.send({ type: "shown", stream: header.stream });
  }
  busy = false;
}

function paint() {
  const { width, height } = canvas,
    high = height - 4 * ROW_PX;
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  if (image) {
    const scale = Math.min(width / image.width, high / image.height),
      w = image.width * scale,
      h = image.height * scale;
    context.drawImage(image, (width - w) / 2, (high - h) / 2, w, h);
  }
  context.font = `600 ${TEXT_PX}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const age_ms = performance.now() - drawn_ms;
  if (!image) write(word("camera.waiting"), "bad", 12, high - ROW_PX / 2, width - 24);
  else if (age_ms > OLD_MS) {
    const old = word("camera.old", { seconds: number(age_ms / 1000) });
    write(old, "bad", 12, high - ROW_PX / 2, width - 24);
  }
  const [first, said, ...hands] = texts;
  if (first) write(first[1], first[0], 12, high + ROW_PX / 2, width - 24);
  if (said)
    wrapped(said[1], width - 24).forEach((text, n) => {
      write(text, said[0], 12, high + (1.5 + n) * ROW_PX, width - 24);
    });
  hands.forEach(([colour, text], n) => {
    write(text, colour, 12 + (n * width) / 2, high + 3.5 * ROW_PX, width / 2 - 24);
  });
  version++;
}

/** A text as two lines at most; what does not fit is cut off. */
function wrapped(text, most) {
  const lines = [""];
  for (const part of text.match(PARTS) ?? []) {
    const longer = lines.at(-1) + part;
    if (context.measureText(longer.trimEnd()).width <= most) lines[lines.length - 1] = longer;
    else if (lines.length < 2) lines.push(part);
    else return [lines[0], `${lines[1].trimEnd()} …`];
  }
  return lines;
}

function write(text, colour, x, y, most) {
  context.fillStyle = COLOURS[colour];
  context.fillText(text, x, y, most);
}
