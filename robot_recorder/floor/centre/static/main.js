// Starts the pages: who is there, the line at the top, which page.

import { api, get, post, who } from "./api.js";
import { all, find, make, setData, setHidden, setText } from "./dom.js";
import * as episodes from "./episodes.js";
import { setIcon } from "./icons.js";
import { link } from "./link.js";
import { login } from "./login.js";
import * as review from "./review.js";
import * as trends from "./trends.js";
import * as wall from "./wall.js";
import { translate, word } from "./words.js";

const PAGES = { wall, episodes, review, trends };
let current = "";

async function boot() {
  translate(document);
  const me = await who();
  if (!me) {
    await login();
    location.reload(); // everything is asked again as this user
    return;
  }
  header(me);
  for (const page of Object.values(PAGES)) page.setUp(me);
  api.on("login", () => location.reload());
  link.on("link", drawLink);
  link.on("closed", () => get("/api/me").catch(() => {})); // 401 is told by the api: the login ran out
  drawLink(link.status);
  addEventListener("hashchange", route);
  route();
  link.open();
  document.documentElement.dataset.ready = "yes";
}

function header(me) {
  setText(find("#centre"), me.centre || "");
  setHidden(find("#user"), !me.login);
  if (me.login) setText(find("#user-name"), `${me.user} · ${word(`role.${me.role}`)}`);
  setIcon(find("#user .icon"), "person");
  find("#logout").addEventListener("click", async () => {
    await post("/api/logout", {});
    location.reload();
  });
  setIcon(find("#fullscreen"), "fullscreen");
  setHidden(find("#fullscreen"), !document.fullscreenEnabled);
  find("#fullscreen").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen({ navigationUI: "hide" }).catch(() => {});
  });
}

function drawLink(status) {
  const box = find("#connection");
  setData(box, "link", status);
  setData(document.documentElement, "link", status);
  const shapes = { ok: "linked", robot: "warning", lost: "cut", connecting: "countdown" };
  setIcon(find(".icon", box), shapes[status]);
  setText(find(".text", box), word(`link.${status}`));
  setText(find("#lost"), status === "lost" ? word("lost.long") : "");
}

/** Show the page that the address names: #page/rest. */
function route() {
  const [wanted, ...rest] = location.hash.slice(1).split("/");
  const [name, question] = wanted.split("?");
  const page = name in PAGES ? name : "wall";
  const moved = current !== "" && page !== current;
  if (page !== current) PAGES[current]?.leave();
  current = page;
  for (const other of Object.keys(PAGES)) setHidden(find(`#page-${other}`), other !== page);
  document.body.dataset.page = page;
  for (const anchor of all("#nav a")) {
    if (anchor.dataset.page === page) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  document.title = [word(`nav.${page}`), find("#centre").textContent].filter(Boolean).join(" · ");
  if (moved) find("#main").focus({ preventScroll: true });
  PAGES[page].enter(rest.map(decodeURIComponent), new URLSearchParams(question ?? ""));
}

boot().catch((error) => {
  const text = `This page cannot start: ${error.message}. Reload it.`;
  document.body.prepend(make("p", { role: "alert", class: "banner", text }));
});
