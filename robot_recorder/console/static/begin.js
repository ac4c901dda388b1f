// What every page of the console does first: who is there, which language, the line at the top, the connection.

import { api, get, who } from "./api.js";
import { makeHeader, setUpHeader } from "./header.js";
import { link } from "./link.js";
import { login } from "./login.js";
import { setUpRegain } from "./regain.js";
import { hear, setUpSound } from "./sound.js";
import { firstLanguage } from "./words.js";

/** Return who is there; null: they have only now logged in, and the page is loaded again. */
export async function begin() {
  makeHeader();
  await firstLanguage(document.documentElement.dataset.language);
  const me = await who();
  if (!me) {
    await login();
    location.reload(); // everything is asked again as this user
    return null;
  }
  await firstLanguage(me.language);
  setUpSound(me);
  setUpRegain(); // before the header and the buttons, which show what it found
  setUpHeader(me);
  api.on("login", () => location.reload());
  link.on("said", ({ event, values }) => hear(event, values ?? {}));
  // A connection that cannot be opened may mean that the login has run out.
  link.on("closed", () => get("/api/me").catch(() => {})); // 401 is told by the api, anything else is a lost connection
  return me;
}

/** Connect; the page is ready once it has drawn its first state, so this comes last. */
export function connect() {
  link.on("state", () => {
    document.documentElement.dataset.ready = "yes";
  });
  link.open();
}
