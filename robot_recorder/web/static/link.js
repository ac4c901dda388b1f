// The websocket: what the server says, whether it is still there, and reconnecting.

import { setClient } from "./api.js";
import { Events } from "./events.js";

const STALE_MS = 900; // without a state the connection is lost: that is to be seen within a second
const DEAD_MS = 2500; // without anything it is given up and opened anew
const PAUSES_MS = [150, 300, 600, 1200, 2500, 4000];

/**
 * Tells "hello", "state", "said", "picture" ({header, jpeg}), "link" (a change of `status`), and
 * "closed" when a connection ended or could not be opened.
 *
 * `status`: connecting, ok, robot (the server hears no robot), lost. `state` is the newest one.
 */
class Link extends Events {
  status = "connecting";
  state = null;
  #socket = null;
  #attempt = 0;
  #heard_ms = 0;
  #stale = 0;
  #again = 0;
  #wanted = false;

  constructor() {
    super();
    addEventListener("online", () => this.#atOnce());
    addEventListener("pageshow", () => this.#atOnce());
    document.addEventListener("visibilitychange", () => document.hidden || this.#atOnce());
  }

  open() {
    this.#wanted = true;
    this.#connect();
  }

  close() {
    this.#wanted = false;
    clearTimeout(this.#again);
    this.#drop();
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Bytes that have not left yet: what is of use only now need not be added to them. */
  get backlog() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** After sleep: what was last heard is old, so say so, and do not wait for the next attempt. */
  #atOnce() {
    if (!this.#wanted) return;
    this.#judge();
    if (!this.#socket) {
      this.#attempt = 0;
      this.#connect();
    }
  }

  #connect() {
    clearTimeout(this.#again);
    this.#drop();
    const socket = new WebSocket(
      `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`,
    );
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#socket === socket && this.#hear(data));
    socket.addEventListener("close", () => this.#socket === socket && this.#ended());
    this.#socket = socket;
    this.#heard_ms = performance.now();
    this.#watch();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #ended() {
    this.#socket = null;
    this.#set("lost");
    this.tell("closed");
    if (!this.#wanted) return;
    const pause = PAUSES_MS[Math.min(this.#attempt++, PAUSES_MS.length - 1)];
    this.#again = setTimeout(() => this.#connect(), pause * (0.75 + Math.random() / 2));
  }

  #hear(data) {
    if (data instanceof ArrayBuffer) return this.#picture(data);
    const message = JSON.parse(data);
    if (message.type === "hello") {
      setClient(message.client);
      this.tell("hello", message);
    } else if (message.type === "state") {
      this.#attempt = 0;
      this.#heard_ms = performance.now();
      this.state = message;
      this.#set(message.link ? "ok" : "robot");
      this.tell("state", message);
      this.send({ type: "seen" }); // on a slow network the server waits for it, so that states are not late
      this.#watch();
    } else if (message.type === "said") {
      this.tell("said", message);
    }
  }

  #picture(data) {
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    this.tell("picture", { header, jpeg: new Uint8Array(data, 4 + length) });
  }

  #watch() {
    clearTimeout(this.#stale);
    const due_ms = performance.now() + STALE_MS;
    this.#stale = setTimeout(() => {
      // a page that was busy itself first reads what has come in the meantime
      if (performance.now() - due_ms > 200) this.#stale = setTimeout(() => this.#judge(), 50);
      else this.#judge();
    }, STALE_MS);
  }

  #judge() {
    clearTimeout(this.#stale);
    const silent_ms = performance.now() - this.#heard_ms;
    if (silent_ms >= STALE_MS - 5) this.#set("lost"); // timers may be early by a little
    if (!this.#wanted || !this.#socket) return;
    if (silent_ms < DEAD_MS) this.#stale = setTimeout(() => this.#judge(), 100);
    else {
      this.#drop();
      this.#ended();
    }
  }

  #set(status) {
    if (this.status === status) return;
    this.status = status;
    this.tell("link", status);
  }
}

export const link = new Link();
