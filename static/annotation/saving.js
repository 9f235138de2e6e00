// Drafts go to the server as one works, and lie in the browser until they arrived: a closed lid, an ended
// session or a restarted server lose nothing. The time counts only while the page is visible.

import { csrfToken } from "../base/csrf.js";
import { restore, saved, snapshot } from "./form.js";
import { say } from "./status.js";

const REST_MS = 1500; // after the last change
const AGAIN_MS = 10_000; // after a failure
const WARN_MS = 10_000; // before the time for an item is over
const ASK_MS = 5_000; // until the end of the time is said again, where it came to nothing
let timer = 0;
let running = Promise.resolve();
let counted = 0;
let since = 0;
let warned = false;
let toldOver = 0;

const work = () => document.getElementById("work");
const form = () => document.getElementById("answers");
const store = () => `annotation-${work().dataset.assignment}`;

export function startSaving() {
  document.addEventListener("answer-changed", () => {
    keepAtHome();
    later(REST_MS);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      counted = activeMs();
      since = 0;
      if (timer) saveDraft(false);
    } else since = performance.now();
  });
  setInterval(showClock, 1000);
}

export function beginSaving() {
  counted = Number(work().dataset.activeMs);
  warned = false;
  toldOver = 0;
  since = document.hidden ? 0 : performance.now();
  clearTimeout(timer);
  timer = 0;
  const kept = read(store());
  if (kept && kept.number === form().elements.draft_number.value && kept.entries) {
    restore(kept.entries);
    note("What had not reached the server is here again.");
    later(REST_MS);
  } else localStorage.removeItem(store());
}

/** Milliseconds that this item was looked at, in all sittings. */
export function activeMs() {
  return counted + (since ? performance.now() - since : 0);
}

/** Keep the form in the browser until the server has it; null forgets it. */
export function keepAtHome(entries = snapshot()) {
  form().elements.active_ms.value = Math.round(activeMs());
  if (entries === null) localStorage.removeItem(store());
  else localStorage.setItem(store(), JSON.stringify({ number: form().elements.draft_number.value, entries }));
}

/** Send the draft now; the one on its way first. */
export function saveDraft(aloud) {
  clearTimeout(timer);
  timer = 0;
  running = running.then(() => send(aloud));
  return running;
}

/** Let a draft that is on its way arrive, and send no other. */
export async function cancelSaving() {
  clearTimeout(timer);
  timer = 0;
  await running;
}

async function send(aloud) {
  const at = work();
  form().elements.active_ms.value = Math.round(activeMs());
  const sent = JSON.stringify(snapshot());
  const answer = await post(at.dataset.draft, new FormData(form()), { quiet: !aloud });
  if (at !== work()) return;
  if (!answer) {
    later(AGAIN_MS);
    note("Not saved on the server yet; it is kept in this browser.");
    return;
  }
  const body = await answer.json();
  if (!answer.ok) {
    note(body.error);
    return;
  }
  form().elements.draft_number.value = body.draft_number;
  if (sent === JSON.stringify(snapshot())) {
    localStorage.removeItem(store());
    saved();
    note("Draft saved");
  } else keepAtHome();
  if (aloud) say("Draft saved.");
}

/** POST as a script; null when nothing came back that can be read, and then the page says why. */
export async function post(url, data, { quiet = false } = {}) {
  data.delete("csrfmiddlewaretoken"); // the cookie's is newer after somebody signed in again
  const headers = { Accept: "application/json", "X-CSRFToken": csrfToken() };
  try {
    const answer = await fetch(url, { method: "POST", body: data, headers, redirect: "manual" });
    const isJson = answer.headers.get("Content-Type")?.includes("json");
    if (isJson) return answer;
    const signedOut = answer.type === "opaqueredirect" || answer.status === 403;
    if (!quiet || signedOut) {
      trouble(signedOut ? "You are signed out. Sign in in another tab, then go on here: nothing is lost." : "The server had a problem. Nothing is lost; try again.", signedOut);
    }
  } catch {
    if (!quiet) trouble("The server cannot be reached. Nothing is lost; try again.", false);
  }
  return null;
}

function trouble(words, signedOut) {
  const node = document.querySelector('[data-error=""]');
  node.textContent = words;
  node.hidden = false;
  if (!signedOut) return;
  const link = document.createElement("a");
  link.href = `/accounts/login/?next=${encodeURIComponent(window.location.pathname)}`;
  link.target = "_blank";
  link.textContent = "Sign in";
  node.append(" ", link);
}

function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(() => saveDraft(false), ms);
}

function note(words) {
  const node = document.querySelector("[data-saved]");
  if (node) node.textContent = words;
}

function showClock() {
  const clock = document.querySelector("[data-clock]");
  if (!clock) return;
  const left = Number(work().dataset.limitMs) - activeMs();
  clock.textContent = `${Math.max(0, Math.ceil(left / 1000))} s left`;
  clock.classList.toggle("warn", left <= WARN_MS);
  if (work().dataset.open !== "yes") return;
  if (left <= WARN_MS && left > 0 && !warned) {
    warned = true;
    say(`${Math.ceil(left / 1000)} seconds left for this item.`);
  }
  if (left <= 0 && performance.now() - toldOver >= ASK_MS) {
    toldOver = performance.now();
    document.dispatchEvent(new CustomEvent("time-is-up"));
  }
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}
