// The inventory: every answer is saved at once. What cannot be sent waits on this device, one queue per person,
// and is sent in order as soon as the server answers again.

import { csrfToken } from "../base/csrf.js";

const RETRY_MS = [2000, 5000, 15000, 30000];
const PREFIX = "alignapp.answers.";
const form = document.querySelector("form[data-inventory]");

if (form) startInventory();
document.querySelector("form[data-restart]")?.addEventListener("submit", () => {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
});

function startInventory() {
  const key = PREFIX + form.dataset.person;
  const state = form.querySelector("[data-save-state]");
  let waiting = read();
  let sending = false;
  let failures = 0;
  let timer = 0;

  // Answers of this page that were never sent are newer than what the server showed.
  for (const [item, value] of Object.entries(waiting)) {
    const radio = form.querySelector(`input[name="item-${item}"][value="${value}"]`);
    if (radio) radio.checked = true;
  }
  form.addEventListener("change", ({ target }) => target.type === "radio" && keep(target));
  form.addEventListener("keydown", onKey);
  // The page's own answers travel with the form.
  form.addEventListener("submit", () => {
    for (const set of form.querySelectorAll("[data-item]")) {
      if (set.querySelector("input:checked")) delete waiting[set.dataset.item];
    }
    write();
  });
  window.addEventListener("online", send);
  // Who answers by keys goes on by keys; others find the page as it is.
  if (session("keys")) firstOpen()?.querySelector("input").focus();
  send();

  function read() {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? {};
    } catch {
      return {};
    }
  }

  function write() {
    try {
      if (Object.keys(waiting).length) localStorage.setItem(key, JSON.stringify(waiting));
      else localStorage.removeItem(key);
    } catch {
      // Without storage answers still wait in this page, and the form carries them.
    }
  }

  function keep(radio) {
    waiting[radio.closest("[data-item]").dataset.item] = Number(radio.value);
    write();
    send();
  }

  async function send() {
    clearTimeout(timer);
    if (sending) return;
    sending = true;
    while (Object.keys(waiting).length) {
      const [item, value] = Object.entries(waiting)[0];
      state.textContent = form.dataset.saving;
      const outcome = await sendOne(item, value);
      if (outcome === "retry" || outcome === "signed-out") {
        state.textContent = outcome === "retry" ? form.dataset.offline : form.dataset.signedOut;
        timer = setTimeout(send, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
        break;
      }
      failures = 0;
      // A newer answer to the same item may have come meanwhile.
      if (waiting[item] === value) delete waiting[item];
      write();
      state.textContent = outcome === "saved" ? form.dataset.saved : form.dataset.refused;
    }
    sending = false;
  }

  async function sendOne(item, value) {
    try {
      const response = await fetch(form.dataset.inventory, {
        method: "POST",
        body: new URLSearchParams({ item, value }),
        headers: { "X-CSRFToken": csrfToken(), Accept: "application/json" },
      });
      if (response.redirected || response.status === 403) return "signed-out";
      if (response.status >= 500 || response.status === 429) return "retry";
      if (!response.ok) return "refused";
      const body = await response.json();
      form.querySelector("[data-progress]").value = body.answered;
      form.querySelector("[data-progress-words]").textContent = body.progress;
      return "saved";
    } catch {
      return "retry";
    }
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !/^[1-5]$/.test(event.key)) return;
    const set = event.target.closest("[data-item]");
    if (!set) return;
    event.preventDefault();
    session("keys", "1");
    const radio = set.querySelector(`input[value="${event.key}"]`);
    radio.checked = true;
    radio.focus();
    keep(radio);
    const next = set.nextElementSibling;
    (next?.querySelector("input:checked") ?? next?.querySelector("input, button"))?.focus();
  }

  function session(name, value) {
    try {
      if (value) sessionStorage.setItem(PREFIX + name, value);
      return sessionStorage.getItem(PREFIX + name);
    } catch {
      return null;
    }
  }

  function firstOpen() {
    return [...form.querySelectorAll("[data-item]")].find((set) => !set.querySelector("input:checked"));
  }
}
