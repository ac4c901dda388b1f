// Films of takes: their frames, got ahead of time, and the player that shows them.

import { get, Refusal } from "./api.js";
import { Events } from "./events.js";
import { make } from "./dom.js";
import { word } from "./words.js";

const AT_ONCE = 6; // frames under way
const AGAIN_MS = 700; // until a film that is being made is asked for again
const MOST_TRIES = 60;
const SPEEDS = [1, 2, 4, 8];

/** Order of frames in which a film can be scrubbed early: first, last, middle, quarters ... */
export function coarseFirst(count) {
  const order = [],
    seen = new Set();
  const add = (n) => {
    if (n >= 0 && n < count && !seen.has(n)) {
      seen.add(n);
      order.push(n);
    }
  };
  add(0);
  for (let step = 1 << Math.ceil(Math.log2(Math.max(1, count))); step >= 1; step >>= 1)
    for (let n = 0; n < count; n += step) add(n);
  return order;
}

/** What is shown of one take: tells "told" (cameras are known), "frame", "curves". */
export class Film extends Events {
  cameras = []; // {name, times_s, width, height, frames: [ImageBitmap|null]}
  curves = null; // groups; null: not there yet
  findings = null;
  problem = ""; // why there is no film
  curves_problem = "";
  from_s = 0; // of its time axis: messages before the start are shown too
  to_s;
  #stopped = new AbortController();

  /**
   * @param source `address` below which its parts are; `duration_s`, until it is known better; `camera`
   * returns the one of some cameras to be shown alone, and then there are no curves
   */
  constructor(source) {
    super();
    this.source = source;
    this.to_s = source.duration_s ?? 0;
    this.#load();
    if (!source.camera) this.#loadCurves();
  }

  /** Whether it can be shown: every camera has a picture, or there is none. */
  get ready() {
    return (
      this.problem !== "" ||
      (this.cameras.length > 0 && this.cameras.every(({ frames }) => frames.some(Boolean)))
    );
  }

  /** Forget the film; nothing more is asked for. */
  close() {
    this.#stopped.abort();
    for (const camera of this.cameras) for (const frame of camera.frames) frame?.close();
    this.cameras = [];
  }

  /** The loaded frame nearest to a time; null: none yet. */
  frameAt(camera, at_s) {
    const wanted = nearest(camera.times_s, at_s);
    for (let away = 0; away < camera.frames.length; away++)
      for (const n of [wanted - away, wanted + away]) if (camera.frames[n]) return camera.frames[n];
    return null;
  }

  async #load() {
    try {
      const told = await this.#made(`${this.source.address}/film.json`);
      this.from_s = Math.min(0, told.first_s ?? 0);
      this.to_s = Math.max(told.duration_s ?? this.to_s, told.last_s ?? 0);
      this.findings = told.findings ?? null;
      const one = this.source.camera?.(told.cameras);
      this.cameras = (one ? [one] : told.cameras).map((camera) => ({
        ...camera,
        frames: new Array(camera.times_s.length).fill(null),
      }));
      if (!this.cameras.length) this.problem = (told.problems ?? []).join(" ") || "-";
    } catch (error) {
      if (!this.#stopped.signal.aborted) this.problem = error.message;
    }
    this.tell("told");
    await this.#loadFrames();
  }

  async #loadCurves() {
    try {
      this.curves = (await this.#made(`${this.source.address}/curves.json`)).groups;
    } catch (error) {
      this.curves_problem = error.message;
    }
    this.tell("curves");
  }

  /** An answer that a worker may still be making. */
  async #made(address) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await get(address);
      } catch (error) {
        const wait = error instanceof Refusal && [429, 503].includes(error.status);
        if (!wait || attempt >= MOST_TRIES || this.#stopped.signal.aborted) throw error;
        await new Promise((done) => setTimeout(done, AGAIN_MS));
      }
    }
  }

  async #loadFrames() {
    const most = Math.max(0, ...this.cameras.map(({ times_s }) => times_s.length));
    const wanted = coarseFirst(most).flatMap((n) =>
      this.cameras.filter(({ times_s }) => n < times_s.length).map((camera) => ({ camera, n })),
    );
    const work = async () => {
      for (let next = wanted.shift(); next; next = wanted.shift()) {
        if (this.#stopped.signal.aborted) return;
        await this.#loadFrame(next.camera, next.n);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async #loadFrame(camera, n) {
    try {
      const address = `${this.source.address}/film/${encodeURIComponent(camera.name)}/${n}.jpg`;
      const answer = await fetch(address, { signal: this.#stopped.signal });
      if (!answer.ok) return;
      const frame = await createImageBitmap(await answer.blob());
      if (this.#stopped.signal.aborted) return frame.close();
      camera.frames[n] = frame;
      this.tell("frame");
    } catch {
      /* a frame that is missing or damaged: its neighbour is shown */
    }
  }
}

function nearest(times_s, at_s) {
  let low = 0,
    high = times_s.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times_s[middle] <= at_s) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Shows a film in canvases and keeps the time: tells "time" (s) and "speed". */
export class Player extends Events {
  film = null;
  at_s = 0;
  speed = 0; // 0: paused; negative: backward
  #holder;
  #canvases = [];
  #drawn_ms = 0;
  #asked = 0;

  constructor(holder) {
    super();
    this.#holder = holder;
  }

  show(film) {
    this.pause();
    this.film = film;
    this.at_s = 0;
    film?.on("told", () => this.film === film && this.#layOut());
    film?.on("frame", () => this.film === film && this.#draw());
    this.#layOut();
  }

  #layOut() {
    const cameras = this.film?.cameras ?? [];
    this.#canvases = cameras.map(({ name, width, height }) =>
      make("canvas", { width, height, role: "img", "aria-label": name }),
    );
    this.#holder.replaceChildren(
      ...this.#canvases.map((canvas, i) =>
        make("figure", {}, canvas, make("figcaption", { class: "data", text: cameras[i].name })),
      ),
    );
    this.#holder.dataset.cameras = Math.min(4, cameras.length);
    if (!cameras.length && this.film) {
      const text = this.film.problem
        ? word("review.no_film", { why: this.film.problem })
        : word("review.film_waits");
      this.#holder.append(make("p", { class: "soft data", text }));
    }
    this.go(this.at_s);
  }

  get from_s() {
    return this.film?.from_s ?? 0;
  }

  get to_s() {
    return this.film?.to_s ?? 0;
  }

  get length_s() {
    return this.to_s - this.from_s;
  }

  go(at_s) {
    this.at_s = Math.min(Math.max(this.from_s, at_s), this.to_s);
    this.#draw();
    this.tell("time", this.at_s);
  }

  /** One frame of the camera with most frames. */
  step(frames) {
    this.pause();
    const most = (this.film?.cameras ?? []).reduce(
      (best, { times_s }) => (times_s.length > best.length ? times_s : best),
      [],
    );
    if (!most.length) return this.go(this.at_s + frames * 0.1);
    // a time between two frames shows the earlier one
    const now = nearest(most, this.at_s + 1e-6);
    this.go(most[Math.min(Math.max(0, now + frames), most.length - 1)]);
  }

  toggle() {
    if (this.speed) this.pause();
    else this.play(1);
  }

  pause() {
    this.#set(0);
  }

  /** Play at a speed, from the other end when there is nothing left. */
  play(speed) {
    if (speed > 0 && this.at_s >= this.to_s - 1e-3) this.at_s = this.from_s;
    if (speed < 0 && this.at_s <= this.from_s + 1e-3) this.at_s = this.to_s;
    this.#set(speed);
  }

  /** J and L: faster in that direction, or from the beginning of the speeds. */
  shuttle(direction) {
    const now = Math.sign(this.speed) === direction ? SPEEDS.indexOf(Math.abs(this.speed)) : -1;
    this.play(direction * SPEEDS[Math.min(now + 1, SPEEDS.length - 1)]);
  }

  #set(speed) {
    if (this.speed === speed) return;
    this.speed = speed;
    this.#drawn_ms = performance.now();
    cancelAnimationFrame(this.#asked);
    if (speed) this.#asked = requestAnimationFrame((ms) => this.#tick(ms));
    this.tell("speed", speed);
  }

  #tick(ms) {
    const at_s = this.at_s + (this.speed * Math.max(0, ms - this.#drawn_ms)) / 1000;
    this.#drawn_ms = ms;
    this.go(at_s);
    // a frame may be older than the press: at the beginning it has not moved yet
    if (this.speed > 0 ? at_s >= this.to_s : at_s <= this.from_s) this.pause();
    else if (this.speed) this.#asked = requestAnimationFrame((next) => this.#tick(next));
  }

  /** Where a time lies on the axis, 0 to 1. */
  share(at_s) {
    return this.length_s > 0 ? Math.min(1, Math.max(0, (at_s - this.from_s) / this.length_s)) : 0;
  }

  #draw() {
    this.film?.cameras.forEach((camera, i) => {
      const canvas = this.#canvases[i],
        frame = this.film.frameAt(camera, this.at_s);
      if (!canvas || !frame || canvas.frame === frame) return;
      canvas.frame = frame;
      canvas.getContext("2d").drawImage(frame, 0, 0, canvas.width, canvas.height);
    });
  }
}
