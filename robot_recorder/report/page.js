// The page's current time, and the time window that all plots show.

// ---- time

function place(element, seconds) {
  element.style.left = `${(100 * (seconds - data.first)) / (data.last - data.first)}%`;
}

function setTime(seconds, keep = true) {
  now = clamp(seconds, data.first, data.last);
  find("#clock").textContent = `${now.toFixed(2)} s`;
  const lane = find("#lane");
  lane.setAttribute("aria-valuenow", now.toFixed(3));
  lane.setAttribute("aria-valuetext", `${now.toFixed(2)} seconds`);
  place(find(".cursor", lane), now);
  showPictures();
  data.panels.forEach(showValues);
  if (keep) remember();
}

/** Put the time into the address, so that a link to it can be sent. */
function remember() {
  try { history.replaceState(null, "", `#t=${now.toFixed(3)}`); } catch { /* not allowed for this page */ }
}

function showPictures() {
  for (const camera of all(".camera")) {
    const frames = all("img", camera), at = frames.map((frame) => Number(frame.dataset.time));
    const best = at.reduce((chosen, time, i) => (Math.abs(time - now) < Math.abs(at[chosen] - now) ? i : chosen), 0);
    frames.forEach((frame, i) => frame.classList.toggle("now", i === best));
    const far = Math.abs(at[best] - now) > (1.5 * (data.last - data.first)) / Math.max(frames.length, 2);
    camera.classList.toggle("silent", far);
    find(".at", camera).textContent = `${far ? "no picture here; " : ""}${at[best].toFixed(2)} s`;
  }
}

function showValues(panel) {
  if (!panel.area) return;
  const at = panel.area.x(now);
  panel.cursor.style.left = `${at}px`;
  panel.cursor.hidden = at < panel.area.left - 1 || at > panel.area.right + 1;
  if (!panel.cells) {
    for (const curve of panel.curves) curve.output.textContent = readable(valueAt(curve.at, now));
    return;
  }
  const found = panel.curves.map((curve) => valueAt(curve.at, now));
  const best = found.reduce((chosen, value, i) => (value > found[chosen] || Number.isNaN(found[chosen]) ? i : chosen), 0);
  const what = panel.pads.length > 1 ? "pad" : "cell";
  panel.most.textContent = Number.isFinite(found[best]) ? `most: ${figure(found[best], panel.unit)} (${what} ${panel.curves[best].name})` : "no data here";
  for (const pad of panel.pads) pad.at.forEach((address, i) => {
    const value = valueAt(address, now), cell = pad.cells[i];
    cell.style.background = `rgb(${heat(panel, value)})`;
    cell.title = `${pad.name} ${pad.names[i]}: ${figure(value, panel.unit)}`;
  });
}

function setView(first, last) {
  const least = Math.min(0.02, data.last - data.first);
  view = last - first < least ? view : [Math.max(first, data.first), Math.min(last, data.last)];
  const whole = view[0] <= data.first && view[1] >= data.last, window_ = find("#lane .window");
  window_.style.display = whole ? "none" : "block";
  place(window_, view[0]);
  window_.style.width = `${(100 * (view[1] - view[0])) / (data.last - data.first)}%`;
  find("#all").hidden = whole;
  redraw();
}

function redraw() {
  data.panels.forEach((panel) => { draw(panel); showValues(panel); });
}

function play(on) {
  playing = on ? performance.now() : 0;
  find("#play").textContent = on ? "⏸" : "▶";
  find("#play").setAttribute("aria-label", on ? "pause" : "play");
  if (!on) return remember();
  if (now >= data.last) setTime(data.first, false);
  requestAnimationFrame(step);
}

function step(at) {
  if (!playing) return;
  setTime(now + (Math.max(at - playing, 0) / 1000) * Number(find("#speed").value), false);
  playing = at;
  if (now >= data.last) play(false); else requestAnimationFrame(step);
}

// ---- mouse and keyboard

/** Handle the mouse: a click sets the time, a drag zooms, a double click shows all. */
function listen(panel) {
  let from = null;
  const timeOf = (event) => {
    const { left, right } = panel.area, at = event.clientX - panel.plot.getBoundingClientRect().left;
    return view[0] + ((clamp(at, left, right) - left) / (right - left)) * (view[1] - view[0]);
  };
  const dragged = (event) => Math.abs(event.clientX - from.x) > 6;
  panel.plot.addEventListener("pointerdown", (event) => {
    from = { x: event.clientX, time: timeOf(event) };
    panel.plot.setPointerCapture(event.pointerId);
  });
  panel.plot.addEventListener("pointermove", (event) => {
    if (!from) return;
    const ends = [from.time, timeOf(event)].sort((a, b) => a - b).map(panel.area.x);
    panel.band.style.display = dragged(event) ? "block" : "none";
    panel.band.style.left = `${ends[0]}px`;
    panel.band.style.width = `${ends[1] - ends[0]}px`;
  });
  panel.plot.addEventListener("pointerup", (event) => {
    if (!from) return;
    panel.band.style.display = "none";
    const ends = [from.time, timeOf(event)].sort((a, b) => a - b);
    if (dragged(event)) setView(...ends); else setTime(timeOf(event));
    from = null;
  });
  panel.plot.addEventListener("pointercancel", () => { from = null; panel.band.style.display = "none"; });
  panel.plot.addEventListener("dblclick", () => setView(data.first, data.last));
}

function listenLane() {
  const lane = find("#lane");
  const set = (event) => {
    const box = lane.getBoundingClientRect();
    setTime(data.first + ((event.clientX - box.left) / box.width) * (data.last - data.first), event.type === "pointerup");
  };
  lane.addEventListener("pointerdown", (event) => { lane.setPointerCapture(event.pointerId); set(event); });
  lane.addEventListener("pointermove", (event) => { if (event.buttons) set(event); });
  lane.addEventListener("pointerup", set);
}

function listenKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select, summary, pre")) return;
    if (event.key === " " && event.target.closest("button")) return;
    const far = event.shiftKey ? 1 : 0.1;
    const to = { ArrowLeft: now - far, ArrowRight: now + far, Home: data.first, End: data.last }[event.key];
    if (to !== undefined && (event.key.startsWith("Arrow") || event.target.id === "lane")) setTime(to);
    else if (event.key === " ") play(!playing);
    else return;
    event.preventDefault();
  });
}

function fromAddress() {
  const match = location.hash.match(/^#t=(-?[\d.]+)$/);
  if (match) setTime(Number(match[1]), false);
  return Boolean(match);
}

data.panels.forEach(build);
listenLane();
listenKeys();
find("#play").addEventListener("click", () => play(!playing));
find("#all").addEventListener("click", () => setView(data.first, data.last));
window.addEventListener("hashchange", fromAddress);
for (const name of ["resize", "beforeprint", "afterprint"]) window.addEventListener(name, redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
redraw();
if (!fromAddress()) setTime(0, false);
document.documentElement.dataset.ready = "yes";
