// Starts the page: who is there, which language, which page.

import { begin, connect } from "./begin.js";
import { find, make, setHidden } from "./dom.js";
import { showPage } from "./header.js";
import { link } from "./link.js";
import * as operate from "./operate.js";
import * as prepare from "./prepare.js";
import * as review from "./review.js";
import * as today from "./today.js";
import { keepAwake } from "./wake.js";
import { onLanguage, word } from "./words.js";

const PAGES = { operate, prepare, review, today };
let current = "";

async function boot() {
  const me = await begin();
  if (!me) return;
  operate.setUpOperate(me);
  prepare.setUpPrepare(me);
  review.setUpReview();
  today.setUpToday();
  keepAwake();
  link.on("state", title);
  onLanguage(() => link.state && title(link.state));
  addEventListener("hashchange", route);
  addEventListener("click", letGo);
  route();
  connect();
}

function route() {
  const name = location.hash.slice(1) in PAGES ? location.hash.slice(1) : "operate";
  if (name === current) return;
  PAGES[current]?.leave();
  for (const page of Object.keys(PAGES)) setHidden(find(`#page-${page}`), page !== name);
  const moved = current !== "";
  current = name;
  document.body.dataset.page = name;
  showPage(name);
  if (moved) find("#main").focus({ preventScroll: true });
  PAGES[name].enter();
  if (link.state) title(link.state);
}

/** A clicked button lets the focus go: the next Space is the operator's, not the button's. */
function letGo(event) {
  if (event.detail > 0 && current === "operate")
    event.target.closest?.("button:not(.lamp)")?.blur();
}

function title({ shift, robot }) {
  const parts = [word(`nav.${current}`), robot];
  if (shift && shift.state !== "idle")
    parts.unshift(
      `${word(`state.${shift.state}`)} ${shift.counted}${shift.target ? `/${shift.target}` : ""}`,
    );
  const text = parts.filter(Boolean).join(" · ");
  if (document.title !== text) document.title = text;
}

boot().catch((error) => {
  // without its texts the page can only speak English
  document.body.prepend(
    make("p", {
      role: "alert",
      class: "banner",
      text: `This page cannot start: ${error.message}. Reload it.`,
    }),
  );
});
