// Questions and orders to the console's server.

import { Events } from "./events.js";

const ANSWER_MS = 5000; // an attempt that takes longer is repeated
const GIVE_UP_MS = 15000; // after which an order is called unanswered
const PAUSES_MS = [200, 400, 800, 1600, 3000];

export const api = new Events(); // "login": the server wants to know who this is
let client = "";

export function setClient(id) {
  client = id;
}

/** What a press is called: a repeated order of the same key is carried out once. */
function newKey() {
  // not crypto.randomUUID, which a page without TLS lacks
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** A refusal by the server; `status` is HTTP's. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function get(path) {
  const response = await fetch(path, {
    headers: { Accept: "application/json" },
    cache: "no-store",
  });
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401) api.tell("login");
  if (!response.ok)
    throw new Refusal(
      response.status,
      answer.message || `${response.status} ${response.statusText}`,
    );
  return answer;
}

/** The answer of /api/me; null: the server wants a login. */
export async function who() {
  for (;;) {
    try {
      return await get("/api/me");
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) return null;
      await new Promise((done) => setTimeout(done, 1000)); // the server is still starting
    }
  }
}

/**
 * Post an order and return the answer, {ok, message, status, ...}.
 *
 * Throws a TypeError or a DOMException when no answer came.
 */
export async function post(path, body, wait_ms = 120000) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Console": client },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(wait_ms),
  });
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401 && path !== "/api/login") api.tell("login");
  return {
    ...answer,
    ok: response.ok && answer.ok !== false,
    message: answer.message || (response.ok ? "" : `${response.status} ${response.statusText}`),
    status: response.status,
  };
}

/** Post an order; repeat it with the same key until it is answered. Null: it never was. */
export async function order(path, body) {
  const begun = performance.now(),
    keyed = { ...body, key: newKey() };
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await post(path, keyed, ANSWER_MS);
      if (![502, 503, 504].includes(answer.status)) return answer;
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
    }
    if (performance.now() - begun > GIVE_UP_MS) return null;
    await new Promise((done) =>
      setTimeout(done, PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)]),
    );
  }
}
