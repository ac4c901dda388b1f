"use strict";
// Store an error where a test or a developer can find it.
window.addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });

const data = JSON.parse(document.getElementById("data").textContent);
const find = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const root = getComputedStyle(document.documentElement);
const colour = (name) => root.getPropertyValue(`--${name}`).trim();

const RIGHT = 4, BOTTOM = 17, TOP = 5; // margins of a plot, px; the left one is the gutter
const RAMP = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];
const SIGNED = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];
let now = 0, view = [data.first, data.last], playing = 0, hovered = null;

// ---- numbers

function bytes(text) {
  const raw = atob(text), array = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) array[i] = raw.charCodeAt(i);
  return array.buffer;
}

/** Return the times of a series; also sets the length from which a pause is a gap. */
function times(number) {
  const series = data.series[number];
  if (typeof series.times === "string") {
    series.times = new Float32Array(bytes(series.times));
    const steps = series.times.slice(1).map((time, i) => time - series.times[i]).sort();
    series.gap = steps.length ? 5 * steps[Math.floor(0.9 * (steps.length - 1))] : 0;
  }
  return series.times;
}

/** Return a column's values; NaN where one is missing. */
function values([number, column]) {
  const coded = data.series[number].columns[column];
  if (coded.values) return coded.values;
  if (coded.exact) coded.values = new Float32Array(bytes(coded.exact));
  else if (coded.codes === undefined) coded.values = new Float64Array(times(number).length).fill(coded.low);
  else {
    const codes = new Uint16Array(bytes(coded.codes));
    coded.values = Float64Array.from(codes, (code) => (code === 65535 ? NaN : coded.low + code * coded.step));
  }
  return coded.values;
}

/** Return how many times are before a given one. */
function before(array, time) {
  let low = 0, high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle] < time) low = middle + 1; else high = middle;
  }
  return low;
}

/** Return the index of the sample nearest to a time; -1 where the stream was silent. */
function nearest(number, time) {
  const array = times(number), after = before(array, time);
  const at = after > 0 && (after === array.length || time - array[after - 1] <= array[after] - time) ? after - 1 : after;
  return at < array.length && Math.abs(array[at] - time) <= Math.max(data.series[number].gap, 0.05) ? at : -1;
}

function valueAt(address, time) {
  const at = nearest(address[0], time);
  return at < 0 ? NaN : values(address)[at];
}

function readable(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
}

/** Return a figure with its unit; large pressures in kPa. */
function figure(value, unit) {
  return unit === "Pa" && Math.abs(value) >= 100 ? `${readable(value / 1000)} kPa` : `${readable(value)} ${unit}`;
}

// ---- panels

function made(name, className, text, parent) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

const shown = {}; // names of the visible curves, by link between panels
const hues = {}; // colour of each curve, by link: a joint has one colour in all panels

/** Return a curve's colour; a palette of its own tells each stream of joints apart. */
function curveColour(panel, curve) {
  const number = hues[panel.linked].get(curve.name);
  if (!panel.palette && number < 10) return colour(`c${number}`);
  const light = matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches ? 64 : 38;
  return `hsl(${(number * 137.5 + 83 * panel.palette) % 360} ${panel.palette % 2 ? 70 : 50}% ${light}%)`;
}

function build(panel) {
  const figure = made("figure", "panel", undefined, panel.folded ? foldedAway(panel) : find("#panels"));
  const caption = made("figcaption", "", panel.title, figure);
  if (panel.linked === panel.stream) caption.style.color = colour(`p${panel.palette % 4}`);
  if (panel.unit && panel.unit !== "1") made("small", "", panel.unit, caption);
  made("small", "", panel.topic, caption);
  if (panel.note) made("small", "note-small", panel.note, caption).title = panel.constant;
  if (!panel.curves.length) return figure.classList.add("still");
  panel.plot = made("div", "plot", undefined, figure);
  panel.plot.style.height = `${panel.height}px`;
  panel.canvas = made("canvas", "", undefined, panel.plot);
  panel.band = made("div", "band", undefined, panel.plot);
  panel.cursor = made("div", "cursor", undefined, panel.plot);
  panel.legend = made("div", "legend", undefined, figure);
  listen(panel);
  if (panel.cells) return buildPad(panel);
  if (!(panel.linked in shown)) [shown[panel.linked], hues[panel.linked]] = [new Set(), new Map()];
  const known = hues[panel.linked];
  panel.curves.forEach((curve, number) => {
    if (known.has(curve.name)) return;
    known.set(curve.name, known.size);
    if (number < panel.shown) shown[panel.linked].add(curve.name);
  });
  buildLegend(panel);
}

/** Return the element with the folded plots of a stream. */
function foldedAway(panel) {
  const last = find("#panels").lastElementChild;
  if (last && last.dataset.stream === panel.stream) return last;
  const details = made("details", "folded", undefined, find("#panels"));
  details.dataset.stream = panel.stream;
  const count = data.panels.filter((other) => other.folded && other.stream === panel.stream).length;
  made("summary", "", `${count} more ${count > 1 ? "plots" : "plot"} of ${panel.stream}`, details);
  details.addEventListener("toggle", redraw);
  return details;
}

function buildLegend(panel) {
  let box = panel.legend;
  panel.curves.forEach((curve, number) => {
    if (number === panel.shown) {
      const more = made("details", "", undefined, panel.legend);
      made("summary", "", `${panel.curves.length - panel.shown} more`, more);
      box = made("div", "more", undefined, more);
    }
    const button = made("button", "", undefined, box);
    button.type = "button";
    button.title = curve.name;
    button.style.setProperty("--colour", curveColour(panel, curve));
    made("i", "", undefined, button);
    made("span", "", curve.name, button);
    curve.output = made("b", "", "", button);
    curve.button = button;
    button.addEventListener("click", () => toggle(panel.linked, curve.name));
    for (const [kind, name] of [["pointerenter", curve.name], ["pointerleave", null]])
      button.addEventListener(kind, () => { hovered = name; draw(panel); });
  });
}

function toggle(linked, name) {
  if (!shown[linked].delete(name)) shown[linked].add(name);
  redraw();
}

/** Draw each pad in its shape, and the scale beside its heat map; cells without a shape in rows. */
function buildPad(panel) {
  const beside = made("div", "beside", undefined, panel.legend);
  const boxes = made("div", panel.pads.length > 1 ? "pads" : "", undefined, undefined);
  for (const pad of panel.pads) {
    const box = made("div", "one-pad", undefined, boxes);
    const cells = made("div", "pad", undefined, box);
    cells.style.gridTemplateColumns = `repeat(${pad.cols}, 1fr)`;
    pad.cells = pad.at.map(() => made("i", "", undefined, cells));
    if (pad.name) made("small", "", pad.name + (pad.known ? "" : "*"), box);
  }
  if (panel.pads.length > 1) {
    panel.legend.after(boxes);
    if (panel.pads.some((pad) => !pad.known)) made("small", "", "* order of the cells only, not their places", boxes);
  } else if (panel.pads[0].known && panel.pads[0].cols > 1) beside.append(boxes);
  const scale = made("div", "scale", undefined, beside), ramp = rampOf(panel);
  scale.style.backgroundImage = `linear-gradient(${[...ramp].reverse().map((c) => `rgb(${c})`).join(",")})`;
  for (const limit of [panel.limits[1], panel.limits[0]]) made("span", "", figure(limit, panel.unit), scale);
  panel.most = made("div", "", "", panel.legend);
}

const rampOf = (panel) => (panel.limits[0] < 0 && panel.limits[0] === -panel.limits[1] ? SIGNED : RAMP);

function heat(panel, value) {
  if (!Number.isFinite(value)) return [128, 128, 128];
  const ramp = rampOf(panel), [low, high] = panel.limits;
  const at = clamp((value - low) / (high - low), 0, 1) * (ramp.length - 1), from = Math.min(Math.floor(at), ramp.length - 2);
  return ramp[from].map((part, i) => Math.round(part + (at - from) * (ramp[from + 1][i] - part)));
}

// ---- drawing

const gutter = () => parseFloat(colour("gutter"));

function prepared(panel) {
  const ratio = Math.max(window.devicePixelRatio || 1, matchMedia("print").matches ? 2 : 1);
  const width = panel.plot.clientWidth, height = panel.plot.clientHeight;
  panel.canvas.width = width * ratio;
  panel.canvas.height = height * ratio;
  const context = panel.canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "11px system-ui, sans-serif";
  const left = gutter(), right = width - RIGHT;
  const x = (time) => left + ((time - view[0]) / (view[1] - view[0])) * (right - left);
  return { context, left, right, top: TOP, bottom: height - BOTTOM, x };
}

function draw(panel) {
  if (!panel.plot || !panel.plot.clientWidth) return; // nothing changes, or folded
  const area = prepared(panel);
  panel.area = area;
  timeAxis(area);
  if (panel.cells) drawHeat(panel, area); else drawCurves(panel, area);
  drawMarks(area, Boolean(panel.cells));
}

/** Return about `count` round numbers between two. */
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.7);
  const found = [];
  const first = Math.ceil(low / step - 1e-9);
  // Count from 0: adding a step to a huge number may not change it.
  for (let k = 0; k < 4 * count + 4 && (first + k) * step <= high + step * 1e-9; k++) found.push((first + k) * step);
  return { found, digits: clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 12) };
}

function timeAxis({ context, left, right, top, bottom, x }) {
  const { found, digits } = ticks(view[0], view[1], (right - left) / 90);
  context.strokeStyle = colour("line");
  context.fillStyle = colour("soft");
  context.textAlign = "center";
  context.lineWidth = 1;
  for (const time of found) {
    line(context, x(time), top, x(time), bottom);
    context.fillText(`${time.toFixed(digits)}${time === found.at(-1) ? " s" : ""}`, Math.min(x(time), right - 12), bottom + 13);
  }
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** Return the range of samples in view, with one more on each side. */
function visible(number) {
  const array = times(number);
  return [Math.max(before(array, view[0]) - 1, 0), Math.min(before(array, view[1]) + 1, array.length)];
}

function extent(curves) {
  let low = Infinity, high = -Infinity;
  for (const curve of curves) for (const address of [curve.at, curve.command]) {
    if (!address) continue;
    const array = values(address), [from, to] = visible(address[0]);
    for (let i = from; i < to; i++) {
      if (array[i] < low) low = array[i];
      if (array[i] > high) high = array[i];
    }
  }
  if (!(low <= high)) return [-1, 1];
  const pad = high > low ? (high - low) * 0.06 : Math.abs(low) * 0.1 || 1;
  return [low - pad, high + pad];
}

function drawCurves(panel, area) {
  const { context, left, right, top, bottom } = area, names = shown[panel.linked];
  const curves = panel.curves.filter((curve) => names.has(curve.name));
  for (const curve of panel.curves) curve.button.setAttribute("aria-pressed", names.has(curve.name));
  const [low, high] = extent(curves), y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  const { found, digits } = ticks(low, high, clamp((bottom - top) / 26, 3, 7));
  context.textAlign = "right";
  for (const value of found) {
    context.strokeStyle = colour("line");
    line(context, left, y(value), right, y(value));
    const text = Math.abs(value) >= 1e6 || high - low < 1e-6 ? value.toExponential(1) : value.toFixed(Math.min(digits, 7));
    context.fillText(text, left - 6, y(value) + 4);
  }
  context.save();
  context.beginPath();
  context.rect(left, top - 1, right - left, bottom - top + 2);
  context.clip();
  context.lineJoin = context.lineCap = "round";
  for (const curve of curves) {
    context.strokeStyle = curveColour(panel, curve);
    context.globalAlpha = hovered === null || hovered === curve.name || !names.has(hovered) ? 1 : 0.15;
    context.lineWidth = hovered === curve.name ? 2.4 : 1.4;
    trace(context, curve.at, area.x, y);
    if (!curve.command) continue;
    context.lineWidth = 1.3;
    context.setLineDash([4.5, 3.5]);
    trace(context, curve.command, area.x, y);
    context.setLineDash([]);
  }
  context.restore();
}

/** Draw a curve, interrupted where its stream was silent. */
function trace(context, address, x, y) {
  const at = times(address[0]), gap = data.series[address[0]].gap, array = values(address), [from, to] = visible(address[0]);
  let down = false;
  context.beginPath();
  for (let i = from; i < to; i++) {
    if (Number.isNaN(array[i])) { down = false; continue; }
    const pause = i > from && at[i] - at[i - 1] > gap;
    if (!down || pause) {
      context.moveTo(x(at[i]), y(array[i]));
      down = true;
    }
    context.lineTo(x(at[i]), y(array[i]));
  }
  context.stroke();
}

/** Draw cells from top to bottom over time; each pixel shows its strongest sample. */
function drawHeat(panel, { context, left, right, top, bottom }) {
  const width = Math.max(Math.round(right - left), 1), cells = panel.curves.length, number = panel.curves[0].at[0];
  const image = new ImageData(width, cells), at = times(number), rest = panel.limits[0] < 0 ? 0 : panel.limits[0];
  const edges = Array.from({ length: width + 1 }, (_, i) => before(at, view[0] + (i / width) * (view[1] - view[0])));
  panel.curves.forEach((curve, row) => {
    const array = values(curve.at);
    for (let i = 0; i < width; i++) {
      let value = NaN;
      for (let k = edges[i]; k < edges[i + 1]; k++) if (!(Math.abs(array[k] - rest) <= Math.abs(value - rest))) value = array[k];
      if (edges[i] === edges[i + 1]) value = valueAt(curve.at, view[0] + ((i + 0.5) / width) * (view[1] - view[0]));
      image.data.set([...heat(panel, value), 255], 4 * (row * width + i));
    }
  });
  const canvas = made("canvas");
  canvas.width = width;
  canvas.height = cells;
  canvas.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, left, top, right - left, bottom - top);
  context.textAlign = "right";
  context.fillStyle = colour("soft");
  const step = (bottom - top) / cells, every = panel.pads.length > 1 && step > 9;
  panel.curves.forEach(({ name }, i) => {
    if (every) context.fillText(name, left - 6, top + (i + 0.5) * step + 4, left - 8);
    else if (i === 0 || i === cells - 1) context.fillText(name.slice(0, 8), left - 6, i ? bottom - 1 : top + 10);
  });
}

/** Draw pre-roll, start and stop, segments as a line along the top, instants, outcomes. */
function drawMarks({ context, left, right, top, bottom, x }, bright) {
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, bottom);
  context.clip();
  context.fillStyle = colour("outside");
  context.fillRect(x(data.first), top, Math.max(x(0) - x(data.first), 0), bottom - top);
  context.fillRect(x(data.stop), top, Math.max(x(data.last) - x(data.stop), 0), bottom - top);
  for (const [start, end, kind, number] of data.marks) {
    if (kind === "segment") {
      context.fillStyle = colour(`s${number}`);
      context.fillRect(x(start), 0, x(end) - x(start), 4);
      continue;
    }
    context.strokeStyle = kind === "instant" ? (bright ? "#e0b0ff" : colour("instant")) : colour(kind === "success" ? "good" : "bad");
    context.setLineDash(kind === "instant" ? [3, 3] : []);
    line(context, x(start), 0, x(start), bottom);
  }
  context.restore();
}
