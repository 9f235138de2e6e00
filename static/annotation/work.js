// The annotating page: one item at a time, the next one fetched while this one is judged.
// Knows nothing of protocols: what a form holds travels as it is.

import { startForm, beginForm, snapshotIsEmpty } from "./form.js";
import { startKeys, showKeys } from "./keys.js";
import { startMarks, beginMarks } from "./marks.js";
import { beginSaving, cancelSaving, keepAtHome, post, saveDraft, startSaving } from "./saving.js";
import { say } from "./status.js";

const work = () => document.getElementById("work");
let ahead = null; // a promise of {url, node} of the next item

document.documentElement.dataset.js = "yes";
startForm();
startSaving();
startMarks();
startKeys({ submit, save: () => saveDraft(true), step, leave: focusNote });
document.addEventListener("submit", onSubmit);
document.addEventListener("click", onClick);
document.addEventListener("time-is-up", onTimeUp);
window.addEventListener("popstate", () => window.location.reload());
begin();

function begin() {
  beginForm();
  beginMarks();
  beginSaving();
  showKeys();
  ahead = work().dataset.open === "yes" ? fetchNext() : null;
}

/** Ask for the item after this one and fetch its page. Returns null when there is none or it failed. */
async function fetchNext() {
  const { next, assignment } = work().dataset;
  const data = new FormData();
  data.set("besides", assignment);
  const answer = await post(next, data, { quiet: true });
  if (!answer?.ok) return null;
  const url = (await answer.json()).next;
  return url ? { url, node: await fetchWork(url) } : null;
}

async function fetchWork(url) {
  try {
    const answer = await fetch(url, { redirect: "manual", headers: { "HX-Request": "true" } });
    if (!answer.ok) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return page.getElementById("work");
  } catch {
    return null;
  }
}

async function submit() {
  const form = document.getElementById("answers");
  if (form.dataset.sent) return "";
  form.dataset.sent = "yes";
  await cancelSaving();
  keepAtHome();
  const answer = await post(form.action, new FormData(form));
  const body = await answer?.json();
  if (body?.aside) {
    keepAtHome(null);
    await goOn();
    tell(body.error);
    return "aside";
  }
  if (body) showErrors(body.errors ?? (answer.ok ? {} : { "": body.error }));
  if (!answer?.ok) {
    delete form.dataset.sent; // once it went well, a second press would only make a second version
    return "";
  }
  keepAtHome(null);
  const done = Number(document.querySelector("[data-done]").textContent);
  const { following, open } = work().dataset;
  say("Submitted.");
  if (open !== "yes" && following) await show(following, null);
  else await goOn();
  const shown = document.querySelector("[data-done]");
  if (shown && open === "yes") shown.textContent = done + 1;
  return "submitted";
}

/** The item's time is over: what is complete is submitted as it stands, else the server gives the item away. */
async function onTimeUp() {
  if ((await submit()) === "submitted") tell("The time was over: your answer was submitted as it stood.");
}

/** Say something about the item before, on the page of the one that is there now. */
function tell(words) {
  const node = document.querySelector("[data-told]");
  if (node) {
    node.textContent = words;
    node.hidden = false;
  }
  say(words);
}

/** Show the item that was fetched ahead, or ask for one. */
async function goOn() {
  const found = await ahead;
  if (found?.node) return show(found.url, found.node);
  const answer = await post(work().dataset.next, new FormData());
  if (!answer) return undefined; // the page says why
  if (!answer.ok) return window.location.assign(work().dataset.home); // closed or stopped: it is said there
  const url = (await answer.json()).next;
  return url ? show(url, null) : window.location.assign(work().dataset.home);
}

async function show(url, node) {
  const next = node ?? (await fetchWork(url));
  if (!next) return window.location.assign(url);
  await ahead; // its answer must not come after the next page's own
  const [before, after] = [work(), next].map((node) => node.querySelector(".guidelines"));
  if (before && after) after.open = before.open; // as the person left them
  work().replaceWith(document.adoptNode(next));
  window.history.pushState({}, "", url);
  window.scrollTo({ top: 0 });
  begin();
  if (document.activeElement === document.body) document.getElementById("main").focus({ preventScroll: true });
  return undefined;
}

async function step(where) {
  const url = work().dataset[where];
  if (!url) return where === "following" && work().dataset.open !== "yes" ? goOn() : say("There is none.");
  if (!snapshotIsEmpty()) await saveDraft(false);
  return show(url, null);
}

function focusNote(mode) {
  const note = document.getElementById("note");
  if (!note) return say("This item is not open any more.");
  note.form.dataset.mode = mode;
  note.focus();
  return say(mode === "flag" ? "Say what is wrong, then press Enter." : "Say why, or only press Enter.");
}

async function leave(form, button) {
  const flagged = button ? button.matches("[data-flag]") : form.dataset.mode === "flag";
  const url = form.querySelector(flagged ? "[data-flag]" : "[data-skip]").formAction;
  await cancelSaving();
  const answer = await post(flagged ? url : form.action, new FormData(form));
  if (!answer) return;
  const body = await answer.json();
  if (!answer.ok) {
    showErrors({ "": body.error });
    return;
  }
  keepAtHome(null);
  const found = await ahead;
  if (found?.node && found.url === body.next) show(found.url, found.node);
  else if (body.next) show(body.next, null);
  else window.location.assign(work().dataset.home);
}

function onSubmit(event) {
  if (event.target.id === "answers") {
    event.preventDefault();
    if (event.submitter?.matches("[data-save]")) saveDraft(true);
    else submit();
  } else if (event.target.id === "leave") {
    event.preventDefault();
    // Enter in the note presses the first button, whatever key led there.
    const byEnter = document.activeElement?.id === "note";
    leave(event.target, byEnter ? null : event.submitter);
  }
}

function onClick(event) {
  const link = event.target.closest?.("[data-step]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  step(link.dataset.step);
}

function showErrors(errors) {
  for (const node of document.querySelectorAll("[data-error]")) {
    const words = errors[node.dataset.error];
    node.textContent = words ?? "";
    node.hidden = !words;
  }
  const first = document.querySelector("[data-error]:not([hidden])");
  first?.scrollIntoView({ block: "nearest" });
}
