// Who is there: a name with its password, or a token.

import { post } from "./api.js";
import { find, setHidden, setText } from "./dom.js";
import { word } from "./words.js";

let done = null;

/** Show the form until the server is content. */
export function login() {
  done ??= new Promise((resolve) => {
    for (const page of document.querySelectorAll(".page"))
      setHidden(page, page.id !== "page-login");
    document.body.dataset.page = "login";
    const form = find("#login");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await enter(form)) resolve();
    });
    find("#login-name").focus();
    document.documentElement.dataset.ready = "login";
  });
  return done;
}

async function enter(form) {
  const button = find("button", form),
    refused = find("#login-refused");
  const name = form.elements.name.value.trim(),
    token = form.elements.token.value.trim();
  setText(refused, "");
  button.disabled = true;
  try {
    const answer = await post(
      "/api/login",
      token ? { token } : { name, password: form.elements.password.value },
      15000,
    );
    if (answer.ok) return true;
    setText(refused, answer.message || word("login.refused"));
  } catch {
    setText(refused, word("lost.short"));
  } finally {
    button.disabled = false;
  }
  form.elements.password.value = form.elements.token.value = "";
  find(token ? "#login-token" : "#login-password").focus();
  return false;
}
