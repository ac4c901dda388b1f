// Dialogs: the browser's own, so that Escape closes them and the focus stays inside.

import { make } from "./dom.js";
import { icon } from "./icons.js";
import { word } from "./words.js";

export const dialogIsOpen = () => document.querySelector("dialog[open]") !== null;

/** Open a dialog with this content; `closed` hears its return value, empty after Escape. */
export function open(title, content, closed = () => {}) {
  const close = make(
    "button",
    { type: "button", class: "square", "aria-label": word("close"), click: () => dialog.close() },
    icon("close"),
  );
  const dialog = make(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    make("div", { class: "row" }, make("h2", { id: "dialog-title", text: title }), close),
    ...content,
  );
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.({ preventScroll: true });
    closed(dialog.returnValue);
  });
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask yes or no; Enter says yes, Escape no. */
export function ask(title, text, yes, danger = false) {
  return new Promise((answer) => {
    const sure = make("button", {
      type: "submit",
      value: "yes",
      class: danger ? "danger" : "primary",
      id: "dialog-yes",
      text: yes,
      autofocus: true,
    });
    const no = make("button", { type: "submit", value: "", id: "dialog-no", text: word("cancel") });
    open(
      title,
      [
        make("p", { class: "data", text }),
        make("form", { method: "dialog", class: "buttons" }, no, sure),
      ],
      (value) => answer(value === "yes"),
    );
  });
}
