// Previews: the recorded JPEGs. The server sends the next picture of a camera only after the last
// one was drawn, so a slow screen skips pictures and never lags.

import { find, keyed, make, setHidden, setText } from "./dom.js";
import { icon } from "./icons.js";
import { keep, kept } from "./keep.js";
import { link } from "./link.js";
import { number, onLanguage, word } from "./words.js";

const OLD_MS = 1500; // after which a picture says how old it is

let cameras = [];
let watched = "";
let active = false;
let hidden = new Set(kept("hidden_cameras", []));
const views = new Map(); // camera: {canvas, old, drawn_ms, waiting, busy}

export function setUpCameras() {
  link.on("picture", ({ header, jpeg }) => picture(header, jpeg));
  link.on("hello", () => {
    watched = "";
    watch();
  });
  document.addEventListener("visibilitychange", watch);
  onLanguage(() => {
    draw(true);
  });
  setInterval(showAges, 500);
}

/** Whether the page with the previews is shown. */
export function showCameras(on) {
  active = on;
  watch();
}

export function drawCameras(streams) {
  const names = streams.filter((stream) => stream.camera).map((stream) => stream.name);
  if (names.join("\n") === cameras.join("\n")) return;
  cameras = names;
  draw();
}

function draw(again = false) {
  const seen = cameras.filter((name) => !hidden.has(name));
  const grid = find("#cameras .grid");
  if (again) {
    grid.replaceChildren();
    views.clear();
  }
  const columns = Math.ceil(Math.sqrt(seen.length)) || 1;
  grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  grid.style.gridTemplateRows = `repeat(${Math.ceil(seen.length / columns) || 1}, minmax(0, 1fr))`;
  keyed(
    grid,
    seen,
    (name) => name,
    makeView,
    () => {},
  );
  for (const name of views.keys()) if (!seen.includes(name)) views.delete(name);
  const out = cameras.filter((name) => hidden.has(name));
  find("#cameras .hidden-cameras").replaceChildren(
    ...out.map((name) =>
      make("button", {
        type: "button",
        class: "data",
        text: word("camera.show", { name }),
        data: { showCamera: name },
        click: () => setShown(name, true),
      }),
    ),
  );
  setHidden(find("#cameras .hidden-cameras"), out.length === 0);
  setHidden(find("#cameras"), cameras.length === 0);
  watch();
}

function makeView(name) {
  const canvas = make("canvas", {
    role: "img",
    "aria-label": name,
    width: 4,
    height: 3,
    data: { camera: name },
  });
  const old = make("p", { class: "old", text: word("camera.waiting") });
  views.set(name, { canvas, old, drawn_ms: null, waiting: null, busy: false });
  return make(
    "figure",
    {},
    canvas,
    old,
    make(
      "figcaption",
      {},
      make("span", { class: "data", text: name }),
      make(
        "button",
        {
          type: "button",
          class: "square",
          "aria-label": word("camera.hide", { name }),
          click: () => setShown(name, false),
        },
        icon("close"),
      ),
    ),
  );
}

function setShown(name, on) {
  hidden = new Set(hidden);
  if (on) hidden.delete(name);
  else hidden.add(name);
  keep("hidden_cameras", [...hidden]);
  draw();
}

/** Tell the server which cameras are on this screen. */
function watch() {
  const streams = active && !document.hidden ? cameras.filter((name) => !hidden.has(name)) : [];
  if (streams.join("\n") === watched) return;
  watched = streams.join("\n");
  link.send({ type: "watch", streams });
}

async function picture(header, jpeg) {
  const view = views.get(header.stream);
  if (!view || !active || document.hidden)
    return link.send({ type: "shown", stream: header.stream });
  view.waiting = { header, jpeg }; // the newest wins
  if (view.busy) return;
  view.busy = true;
  while (view.waiting) {
    const next = view.waiting;
    view.waiting = null;
    await paint(view, next);
    link.send({ type: "shown", stream: header.stream });
  }
  view.busy = false;
}

async function paint(view, { header, jpeg }) {
  let image;
  try {
    image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  } catch {
    setText(view.old, word("camera.unreadable"));
    setHidden(view.old, false);
    return;
  }
  const { canvas } = view;
  if (canvas.width !== image.width || canvas.height !== image.height)
    Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext("2d", { alpha: false }).drawImage(image, 0, 0);
  image.close();
  view.drawn_ms = performance.now();
  canvas.dataset.stampMs = header.stamp_ms;
  canvas.dataset.drawnMs = Date.now();
  setHidden(view.old, true);
}

function showAges() {
  for (const { old, drawn_ms } of active ? views.values() : []) {
    const age_ms = drawn_ms === null ? null : performance.now() - drawn_ms;
    if (age_ms === null || age_ms < OLD_MS) continue;
    setText(old, word("camera.old", { seconds: number(age_ms / 1000) }));
    setHidden(old, false);
  }
}
