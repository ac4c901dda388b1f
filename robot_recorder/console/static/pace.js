// How fast takes come that count, and when the target will be reached.

import { get } from "./api.js";

const MOST = 15; // last takes that are looked at
const BREAK_S = 300; // a longer pause between two takes is no part of the pace

/** The pace of one task, from what the page sees and, after a reload, from the catalogue. */
export class Pace {
  #times_s = []; // when a take began to count, oldest first
  #of = "";
  #counted = null;

  /** Take in how many count now. */
  observe(shift, now_s) {
    const of = `${shift.task}/${shift.operator}`;
    if (of !== this.#of) {
      this.#of = of;
      this.#counted = null;
      this.#times_s = [];
      if (shift.task) this.#read(shift, of);
    }
    if (this.#counted !== null && shift.counted > this.#counted) this.#times_s.push(now_s);
    if (this.#counted !== null && shift.counted < this.#counted) this.#times_s.pop();
    this.#counted = shift.counted;
    this.#times_s = this.#times_s.slice(-MOST);
  }

  async #read(shift, of) {
    const query = new URLSearchParams({
      task: shift.task,
      operator: shift.operator,
      outcome: "success",
      limit: MOST,
    });
    try {
      const { episodes } = await get(`/api/episodes?${query}`);
      if (of !== this.#of) return;
      const known_s = episodes
        .filter((take) => !take.trashed && take.verdict !== "reject")
        .map((take) => take.start_s + take.duration_s);
      const first_s = this.#times_s[0] ?? Infinity;
      this.#times_s = [
        ...known_s.filter((at_s) => at_s < first_s - 1).sort((a, b) => a - b),
        ...this.#times_s,
      ].slice(-MOST);
    } catch {
      /* the pace is then known after two takes */
    }
  }

  /** Takes per hour; null: not known yet. */
  get per_hour() {
    const between_s = this.#times_s
      .slice(1)
      .map((at_s, i) => at_s - this.#times_s[i])
      .filter((gap_s) => gap_s < BREAK_S);
    const all_s = between_s.reduce((sum, gap_s) => sum + gap_s, 0);
    return between_s.length >= 2 && all_s > 0 ? (3600 * between_s.length) / all_s : null;
  }
}
