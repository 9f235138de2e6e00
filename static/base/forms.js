// Every form: what it sends carries the newest token, a second press while the page changes sends nothing, and
// an ended session leads to the sign-in page.
// Nothing imports this module: a second copy would take every first press for a second one.

import { csrfToken } from "./csrf.js";

const PATIENCE_MS = 10_000; // then an answer seems lost, and the form may be sent again
let sent = new WeakMap(); // form -> when it was sent

// Signing in again, in another tab perhaps, makes a new token; the page still holds the old one.
document.addEventListener("submit", ({ target }) => {
  const field = target.querySelector("input[name=csrfmiddlewaretoken]");
  if (field && csrfToken()) field.value = csrfToken();
}, true);
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (!csrfToken()) return;
  detail.headers["x-csrftoken"] = csrfToken();
  if (detail.parameters.has?.("csrfmiddlewaretoken")) detail.parameters.set("csrfmiddlewaretoken", csrfToken());
});

// A part of a page that is asked for after the session ended would be the sign-in page, in the middle of this one.
const isSignIn = (xhr) => new URL(xhr.responseURL, location.href).pathname.startsWith("/accounts/");
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!isSignIn(detail.xhr)) return;
  detail.shouldSwap = false;
  detail.isError = true; // else it would count as done, and what was typed would go
});
document.addEventListener("htmx:responseError", ({ detail }) => {
  // Where something may be typed the page says it itself, or finds out when it is sent.
  const isTyped = document.querySelector("#toasts, form[data-guard]");
  if (isSignIn(detail.xhr) && !isTyped) location.reload();
});

// What a form sent is kept (profiles/unsaved.js) until a page shows that it came to something.
if (!location.pathname.startsWith("/accounts/")) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith("sent:") && !key.endsWith(`:${location.pathname}`)) sessionStorage.removeItem(key);
  }
}

// What the browser finds wrong in a folded part could not be shown, and the form would seem to do nothing.
document.addEventListener("invalid", ({ target }) => {
  for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
}, true);

// On the window, so that whoever sends a form by script has said so before. A download leaves the page as it is.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.matches("[data-download]")) return;
  if (event.timeStamp - (sent.get(form) ?? -PATIENCE_MS) < PATIENCE_MS) event.preventDefault();
  else sent.set(form, event.timeStamp);
});
window.addEventListener("pageshow", () => (sent = new WeakMap()));
