// What a swap must not lose: open panels, typed words, and the reason when a request was refused.

import { toast } from "./status.js";

const open = new Set();

export function startSwaps() {
  restoreDrafts(document);
  document.addEventListener("input", ({ target }) => {
    if (target.dataset?.draft) sessionStorage.setItem(`draft:${target.dataset.draft}`, target.value);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!event.detail.shouldSwap) return;
    open.clear();
    for (const panel of event.detail.target.querySelectorAll("details[open][id]")) open.add(panel.id);
    if (event.detail.target.matches("details[open][id]")) open.add(event.detail.target.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    restoreDrafts(document);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.successful) return;
    const form = detail.requestConfig.elt; // detail.elt is an ancestor when the form was swapped away
    forgetDrafts(form);
    if (form.matches("[data-ranking]")) close(form);
  });
  document.addEventListener("htmx:responseError", ({ detail }) => {
    if (!isSignIn(detail.xhr)) return report(detail.elt, reason(detail.xhr));
    const back = encodeURIComponent(location.pathname + location.search);
    return toast("You were signed out; what you typed is kept.", [`/accounts/login/?next=${back}`, "Sign in"]);
  });
  document.addEventListener("htmx:sendError", ({ detail }) => {
    report(detail.elt, "The server cannot be reached. Nothing is lost; try again in a moment.");
  });
  // One panel at a time in a row of tools.
  document.addEventListener("toggle", ({ target }) => {
    if (!target.open || !target.matches("details.tool, details.menu")) return;
    for (const other of target.parentElement.querySelectorAll(":scope > details[open]")) {
      if (other !== target) other.open = false;
    }
  }, true);
}

function restoreDrafts(root) {
  for (const field of root.querySelectorAll("[data-draft]")) {
    const draft = sessionStorage.getItem(`draft:${field.dataset.draft}`);
    // A page may begin with the focus in the field; what is being typed there is never replaced.
    if (draft && (document.activeElement !== field || !field.value)) field.value = draft;
  }
}

/** Forget what was typed into this form: the server has it. */
export function forgetDrafts(form) {
  for (const field of form.querySelectorAll?.("[data-draft]") ?? []) {
    sessionStorage.removeItem(`draft:${field.dataset.draft}`);
    close(field);
  }
}

function close(inside) {
  const panel = inside.closest("details.tool");
  if (!panel) return;
  open.delete(panel.id);
  const shown = document.getElementById(panel.id); // the swap may have replaced it already
  if (shown) shown.open = false;
}

function isSignIn(xhr) {
  return new URL(xhr.responseURL, location.href).pathname.startsWith("/accounts/");
}

function reason(xhr) {
  try {
    return JSON.parse(xhr.responseText).error;
  } catch {
    if (xhr.status === 404) return "This is not there any more. Reload the page.";
    if (xhr.status === 400) return "This is too large or garbled. Shorten it; what you typed is kept.";
    return `The server answered ${xhr.status}. Try again.`;
  }
}

function report(element, words) {
  if (element.matches?.("form[hx-trigger=change]")) element.reset(); // a switch shows what is stored
  const inline = element.querySelector?.("#composer-error");
  if (!inline) return toast(words);
  inline.textContent = words;
  inline.hidden = false;
  element.querySelector("textarea")?.focus();
}
