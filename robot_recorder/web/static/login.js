// Who is there: a name with its password, or a token.

import { post } from "./api.js";
import { all, find, make, setHidden, setText } from "./dom.js";
import { word } from "./words.js";

let done = null;

/** Show the form until the server is content. */
export function login() {
  done ??= new Promise((resolve) => {
    for (const page of all(".page")) setHidden(page, true);
    document.body.dataset.page = "login";
    find("#main").append(makePage(resolve));
    find("#login-name").focus();
    document.documentElement.dataset.ready = "login";
  });
  return done;
}

function makePage(resolve) {
  const title = { id: "login-title", text: word("login.title") },
    name = field("name", { autocomplete: "username", autocapitalize: "none", spellcheck: "false" }),
    password = field("password", { type: "password", autocomplete: "current-password" }),
    token = field("token", { type: "password", autocomplete: "off" });
  const submit = async (event) => {
    event.preventDefault();
    if (await enter(event.currentTarget)) resolve();
  };
  const form = make(
    "form",
    { id: "login", class: "panel", novalidate: true, submit },
    make("h1", title),
    group("login.by_name", name, password),
    group("login.by_token", token),
    make("p", { id: "login-refused", class: "data", role: "alert" }),
    make("button", { type: "submit", class: "primary huge", text: word("login.enter") }),
  );
  return make("section", { id: "page-login", class: "page", "aria-labelledby": title.id }, form);
}

const group = (title, ...fields) =>
  make("fieldset", {}, make("legend", { text: word(title) }), ...fields);

const field = (name, properties) =>
  make(
    "label",
    {},
    make("span", { text: word(`login.${name}`) }),
    make("input", { id: `login-${name}`, name, maxlength: 1000, ...properties }),
  );

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
