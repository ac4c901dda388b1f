// The line at the top: robot, pages, connection, who has the buttons, settings.

import { hold, takeOver } from "./commands.js";
import { all, find, make, setData, setHidden, setText } from "./dom.js";
import { setIcon } from "./icons.js";
import { link } from "./link.js";
import { regains } from "./regain.js";
import { openSettings } from "./settings.js";
import { needsGesture, onSound, unlock } from "./sound.js";
import { onLanguage, word } from "./words.js";

const PAGES = {
  operate: "/#operate",
  prepare: "/#prepare",
  review: "/#review",
  today: "/#today",
  training: "/training",
  teleop: "/teleop",
};

let me = null;

/** Fill the line; its texts come with the language. */
export function makeHeader() {
  const icon = () => make("span", { class: "icon", "aria-hidden": "true" }),
    button = (id, data, properties = {}) => make("button", { type: "button", id, data, ...properties });
  const pages = Object.entries(PAGES).map(([page, href]) =>
    make("a", { href, data: { page, word: `nav.${page}` }, hidden: page === "teleop" }),
  );
  find("#top").append(
    make("p", { class: "robot" }, make("span", { class: "data", id: "robot" })),
    make("nav", { id: "nav", data: { wordLabel: "nav.label" } }, ...pages),
    make(
      "div",
      { class: "tools" },
      make(
        "p",
        { id: "connection", data: { link: "connecting" } },
        icon(),
        make("span", { class: "text" }),
      ),
      make(
        "div",
        { id: "holder" },
        icon(),
        make("span", { class: "text data" }),
        button("take-over", { word: "holder.take" }, { hidden: true }),
        button("let-go", { word: "holder.let_go" }, { hidden: true }),
      ),
      button("sound-first", { word: "sound.first" }, { class: "urgent", hidden: true }),
      button("settings", { wordLabel: "settings.open" }, { class: "square" }),
      button("fullscreen", { wordLabel: "fullscreen" }, { class: "square" }),
    ),
  );
}

export function setUpHeader(who) {
  me = who;
  setText(find("#robot"), me.robot ?? "");
  setIcon(find("#settings"), "settings");
  setIcon(find("#fullscreen"), "fullscreen");
  find("#settings").addEventListener("click", () => openSettings(me));
  find("#fullscreen").addEventListener("click", fullscreen);
  find("#take-over").addEventListener("click", takeOver);
  find("#let-go").addEventListener("click", () => hold(false));
  find("#sound-first").addEventListener("click", unlock);
  setHidden(find("#fullscreen"), !document.fullscreenEnabled);
  link.on("state", drawHolder);
  link.on("link", drawLink);
  onLanguage(() => {
    drawLink(link.status);
    if (link.state) drawHolder(link.state);
  });
  onSound(drawSound);
  drawLink(link.status);
  drawSound();
}

export function showPage(name) {
  for (const anchor of all("#nav a")) {
    if (anchor.dataset.page === name) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen({ navigationUI: "hide" }).catch(() => {});
}

function drawSound() {
  setHidden(find("#sound-first"), !needsGesture());
}

function drawLink(status) {
  const box = find("#connection");
  setData(box, "link", status);
  setData(document.documentElement, "link", status);
  setIcon(
    find(".icon", box),
    { ok: "linked", robot: "warning", lost: "cut", connecting: "countdown" }[status],
  );
  setText(find(".text", box), word(`link.${status}`));
  const text = status === "lost" || status === "robot" ? word(`lost.${status}`) : "";
  setText(find("#lost"), text);
}

function drawHolder({ holder, viewers, teleop }) {
  const there = find('#nav [data-page="teleop"]');
  setHidden(there, !teleop && !there.hasAttribute("aria-current"));
  const box = find("#holder"),
    commands = ["operator", "admin"].includes(me.role);
  const who = regains() ? "returning" : !holder ? "nobody" : holder.me ? "me" : "other";
  setData(box, "holder", who);
  setIcon(find(".icon", box), who === "other" ? "warning" : "person");
  const text =
    who === "other"
      ? word("holder.other", { user: holder.user || word("holder.someone") })
      : word(`holder.${who}`);
  setText(
    find(".text", box),
    viewers > 1 ? `${text} · ${word("holder.viewers", { count: viewers })}` : text,
  );
  setHidden(find("#take-over"), !commands || who !== "other");
  setHidden(find("#let-go"), who !== "me" || viewers < 2);
}
