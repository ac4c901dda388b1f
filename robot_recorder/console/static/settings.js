// The dialog of what each browser chooses for itself: language, tones, speech; and signing out.

import { post } from "./api.js";
import { open } from "./dialog.js";
import { make } from "./dom.js";
import { canSpeak, hear, soundOn, switchSound, unlock } from "./sound.js";
import { currentLanguage, LANGUAGES, setLanguage, word } from "./words.js";

export function openSettings(me) {
  const language = make(
    "select",
    { id: "language", change: (event) => choose(event.target.value, me) },
    ...Object.entries(LANGUAGES).map(([tag, name]) =>
      make("option", { value: tag, lang: tag, text: name, selected: tag === currentLanguage() }),
    ),
  );
  const content = [
    make("label", {}, make("span", { text: word("settings.language") }), language),
    switchFor("tones"),
    switchFor("speech"),
    canSpeak() === false ? make("p", { class: "soft", text: word("sound.no_voice") }) : null,
    make("button", {
      type: "button",
      text: word("sound.test"),
      click: () => {
        unlock();
        hear("accept", {});
      },
    }),
  ];
  if (me.login)
    content.push(
      make("p", {
        class: "soft data",
        text: word("settings.user", { user: me.user, role: word(`role.${me.role}`) }),
      }),
      make("button", { type: "button", id: "logout", text: word("login.leave"), click: leave }),
    );
  open(word("settings.title"), content.filter(Boolean)).classList.add("settings");
}

function switchFor(name) {
  const box = make("input", {
    type: "checkbox",
    id: `sound-${name}`,
    checked: soundOn()[name],
    change: () => {
      unlock();
      switchSound(name, box.checked);
    },
  });
  return make("label", { class: "check" }, box, make("span", { text: word(`sound.${name}`) }));
}

async function choose(language, me) {
  await setLanguage(language, true);
  const before = document.querySelector("dialog.settings");
  before?.addEventListener("close", () => {
    openSettings(me);
    document.querySelector("#language").focus();
  });
  before?.close();
}

async function leave() {
  await post("/api/logout", {});
  location.reload();
}
