// What the form holds: sliders that nobody touched hold nothing, each change can be undone ten deep,
// and each field says when it was changed last and with what.

import { activeMs } from "./saving.js";
import { say } from "./status.js";

const DEPTH = 10;
const WORDS = ["terrible", "bad", "poor", "middling", "fair", "good", "very good", "perfect"];
let undone = []; // snapshots before each change, the latest last
let last = []; // the form as it was after the latest change
let lastField = "";
let timings = {};
let how = "pointer";
let dirty = false;

const form = () => document.getElementById("answers");

export function startForm() {
  document.addEventListener("keydown", () => (how = "keyboard"), true);
  document.addEventListener("pointerdown", (event) => {
    how = event.pointerType === "touch" ? "touch" : "pointer";
  }, true);
  document.addEventListener("input", ({ target }) => {
    if (!target.form || target.form !== form() || !target.name) return;
    if (target.matches("[data-slider]")) touch(target);
    changed(target);
  });
  // Touching the slider where its thumb would stand changes nothing, yet it is an answer.
  document.addEventListener("pointerup", ({ target }) => {
    if (target.matches?.("[data-slider]:not([data-touched])")) rate(target, target.value);
  });
  document.addEventListener("click", ({ target }) => {
    const move = target.closest?.("[data-move]");
    if (move) movePlace(move);
    if (target.closest?.("[data-undo]")) undo();
  });
}

export function beginForm() {
  undone = [];
  timings = {};
  lastField = "";
  dirty = false;
  for (const slider of document.querySelectorAll("[data-slider]")) describe(slider);
  last = snapshot();
  const hasPick = document.querySelector("[data-pick]");
  if (!hasPick && !document.querySelector("[data-rate] :checked, [data-touched]")) nextRating()?.focus({ preventScroll: true });
}

/** Say whether nothing was changed since the page came or was saved. */
export const snapshotIsEmpty = () => !dirty;

export function saved() {
  dirty = false;
}

/** The form's fields and values, as they would be sent. */
export function snapshot() {
  const skipped = ["csrfmiddlewaretoken", "draft_number", "active_ms", "timings"];
  return [...new FormData(form())].filter(([name]) => !skipped.includes(name));
}

/** Put values into the form. */
export function restore(entries) {
  const values = new Map(entries);
  for (const field of form().elements) {
    if (!field.name || ["csrfmiddlewaretoken", "draft_number", "active_ms", "timings"].includes(field.name)) continue;
    if (field.type === "radio") field.checked = values.get(field.name) === field.value;
    else if (field.type === "checkbox") field.checked = values.has(field.name);
    else if (values.has(field.name)) field.value = values.get(field.name);
    else field.value = "";
  }
  for (const slider of form().querySelectorAll("[data-slider]")) {
    slider.toggleAttribute("data-touched", tick(slider)?.checked ?? false);
    describe(slider);
  }
  form().dispatchEvent(new CustomEvent("restored", { bubbles: true }));
}

/** Note a change of a field. */
export function changed(field) {
  if (field.name !== lastField || !field.matches("textarea, [data-slider]")) undone.push(last);
  undone = undone.slice(-DEPTH);
  lastField = field.name;
  last = snapshot();
  dirty = true;
  timings[field.name] = [Math.round(activeMs()), how];
  form().elements.timings.value = JSON.stringify(timings);
  document.dispatchEvent(new CustomEvent("answer-changed"));
}

/** Take the latest change back; returns false when there is none. */
export function undo() {
  const before = undone.pop();
  if (!before) return false;
  restore(before);
  last = before;
  lastField = "";
  dirty = true;
  document.dispatchEvent(new CustomEvent("answer-changed"));
  say("Undone.");
  return true;
}

/** Give a slider a value, as a hand would. */
export function rate(slider, value) {
  slider.value = value;
  touch(slider);
  changed(slider);
}

/** The first rating, from the one given on, that has no value yet: a slider, or a row of radio buttons. */
export function nextRating() {
  for (const place of form().querySelectorAll("[data-rate], .rate.named")) {
    const slider = place.querySelector("[data-slider]");
    if (slider && !slider.hasAttribute("data-touched") && slider.offsetParent) return slider;
    if (!slider && !place.querySelector(":checked")) return place.querySelector("input");
  }
  return null;
}

function tick(slider) {
  return form().elements[`touched.${slider.name}`];
}

function touch(slider) {
  slider.dataset.touched = "";
  const box = tick(slider);
  if (box) box.checked = true;
  describe(slider);
}

function describe(slider) {
  const word = WORDS[Math.min(WORDS.length - 1, Math.floor(((slider.value - 1) / 100) * WORDS.length))];
  slider.setAttribute("aria-valuetext", "touched" in slider.dataset ? word : "not rated yet");
}

function movePlace(button) {
  const places = button.parentElement.querySelector("select");
  const most = places.options.length - 1;
  const now = Number(places.value) || (Number(button.dataset.move) > 0 ? 0 : most + 1);
  places.value = String(Math.min(most, Math.max(1, now + Number(button.dataset.move))));
  changed(places);
  say(`Place ${places.value}`);
}
