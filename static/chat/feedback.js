// Judging answers: sliders without a number, places of a ranking, copying; with the time it took and
// what it was done with. The values themselves travel in plain forms.

import { say, toast } from "./status.js";

const SETTLE_MS = 500; // an arrow key moves by one: wait until the hand rests
const WORDS = ["terrible", "bad", "poor", "middling", "fair", "good", "very good", "perfect"];
const shownAt = new Map(); // turn id -> when its answers could first be judged
const timers = new Map();
const unsent = new Map(); // slider id -> what the hand left it at: the turn may be replaced before it is sent
let lastInput = "pointer";

export function startFeedback() {
  prepare();
  // Once more when htmx has given a swapped element its new attributes.
  for (const event of ["htmx:afterSwap", "htmx:afterSettle"]) document.addEventListener(event, prepare);
  document.addEventListener("keydown", () => (lastInput = "keyboard"), true);
  document.addEventListener("pointerdown", (event) => {
    lastInput = event.pointerType === "touch" ? "touch" : "pointer";
  }, true);
  document.addEventListener("input", ({ target }) => target.matches("[data-score]") && touch(target));
  document.addEventListener("change", ({ target }) => target.matches("[data-score]") && settle(target));
  // Touching the slider where its thumb would stand changes nothing, yet it is an answer.
  document.addEventListener("pointerup", ({ target }) => {
    if (target.matches?.("[data-score]:not([data-touched])")) {
      touch(target);
      settle(target);
    }
  });
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (!detail.elt.matches("[data-feedback]")) return;
    unsent.delete(detail.elt.querySelector("[data-score]")?.id);
    const since = shownAt.get(detail.elt.closest(".turn").dataset.turn) ?? performance.now();
    detail.parameters.append?.("duration_ms", Math.round(performance.now() - since));
    detail.parameters.append?.("input_kind", lastInput);
  });
  document.addEventListener("click", ({ target }) => {
    const copy = target.closest?.("[data-copy]");
    if (copy) copyText(copy.dataset.copy);
    const move = target.closest?.("[data-move]");
    if (move) movePlace(move);
  });
}

function prepare() {
  for (const turn of document.querySelectorAll(".turn:not([data-open])")) {
    if (!shownAt.has(turn.dataset.turn)) shownAt.set(turn.dataset.turn, performance.now());
  }
  for (const slider of document.querySelectorAll("[data-score]")) {
    if (!unsent.has(slider.id)) describe(slider);
    else if (slider.value !== unsent.get(slider.id) || !("touched" in slider.dataset)) restore(slider);
  }
}

function restore(slider) {
  slider.value = unsent.get(slider.id);
  touch(slider);
  settle(slider);
}

function touch(slider) {
  slider.dataset.touched = "";
  unsent.set(slider.id, slider.value);
  describe(slider);
}

function describe(slider) {
  const word = WORDS[Math.min(WORDS.length - 1, Math.floor(((slider.value - 1) / 100) * WORDS.length))];
  slider.setAttribute("aria-valuetext", "touched" in slider.dataset ? word : "not rated yet");
}

function settle(slider) {
  clearTimeout(timers.get(slider.id));
  const wait = lastInput === "keyboard" ? SETTLE_MS : 0;
  timers.set(slider.id, setTimeout(() => send(slider.id), wait));
}

function send(id) {
  const form = document.getElementById(id)?.form; // the turn may have been replaced since
  if (!form) return;
  window.htmx.process(form); // one just swapped in would leave the page: htmx does not know it for a moment
  form.requestSubmit();
}

function movePlace(button) {
  const places = button.parentElement.querySelector("select");
  const last = places.options.length - 1;
  const now = Number(places.value) || (Number(button.dataset.move) > 0 ? 0 : last + 1);
  places.value = String(Math.min(last, Math.max(1, now + Number(button.dataset.move))));
  say(`Place ${places.value}`);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("Your browser does not let this page copy. Select the text instead.");
  }
}
