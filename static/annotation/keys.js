// Single keys, outside of text fields; each can be changed, and all of them switched off.

import { changed, nextRating, rate, undo } from "./form.js";
import { say } from "./status.js";

const STORE = "annotation-keys";
const ACTIONS = [
  ["answer1", "1", "Answer 1"],
  ["answer2", "2", "Answer 2"],
  ["answer3", "3", "Answer 3"],
  ["answer4", "4", "Answer 4"],
  ["tie", "0", "They are alike"],
  ["none", "-", "All are bad"],
  ["rate", "r", "Next rating"],
  ["mark", "m", "Mark the selected words"],
  ["skip", "s", "Skip"],
  ["flag", "f", "Flag"],
  ["undo", "u", "Undo; with nothing to undo, the item before"],
  ["previous", "[", "Earlier item"],
  ["following", "]", "Later item"],
  ["help", "?", "Show the keys"],
];
let bound = {};
let waiting = null; // the action whose new key is awaited
let act;

const help = () => document.getElementById("key-help");

export function startKeys(acts) {
  act = acts;
  const kept = JSON.parse(localStorage.getItem(STORE) ?? "{}");
  bound = Object.fromEntries(ACTIONS.map(([name, key]) => [name, kept[name] ?? key]));
  const box = document.getElementById("keys-on");
  box.checked = localStorage.getItem(`${STORE}-on`) !== "off";
  box.addEventListener("change", () => localStorage.setItem(`${STORE}-on`, box.checked ? "on" : "off"));
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.("[data-help]")) open();
    const change = target.closest?.("[data-change]");
    if (change) await_(change);
    if (target.closest?.("[data-keys-reset]")) keep(Object.fromEntries(ACTIONS.map(([name, key]) => [name, key])));
  });
  document.addEventListener("keydown", onKey);
}

/** Write the keys beside what they do. */
export function showKeys() {
  for (const node of document.querySelectorAll("[data-key-of]")) node.textContent = bound[node.dataset.keyOf];
}

function open() {
  const rows = ACTIONS.map(([name, , words]) => {
    const row = document.createElement("tr");
    row.innerHTML = '<th scope="row"></th><td><kbd></kbd></td><td><button type="button" class="button quiet" data-change></button></td>';
    row.querySelector("th").textContent = words;
    row.querySelector("kbd").textContent = bound[name];
    const button = row.querySelector("button");
    button.dataset.change = name;
    button.textContent = "Change";
    button.setAttribute("aria-label", `Change the key of: ${words}`);
    return row;
  });
  document.querySelector("[data-keys]").replaceChildren(...rows);
  if (!help().open) help().showModal();
}

function await_(button) {
  waiting = button.dataset.change;
  button.textContent = "Press a key…";
  say("Press the new key; Escape keeps the old one.");
}

function keep(keys) {
  bound = keys;
  localStorage.setItem(STORE, JSON.stringify(bound));
  showKeys();
  open();
}

function onKey(event) {
  if (waiting) return rebind(event);
  if (event.isComposing || help().open) return undefined;
  if ((event.ctrlKey || event.metaKey) && !event.altKey) {
    const known = { Enter: act.submit, s: act.save }[event.key];
    if (known) {
      event.preventDefault();
      known();
    }
    return undefined;
  }
  const inField = event.target.closest?.("textarea, select, input:not([type=range], [type=checkbox], [type=radio])");
  const on = document.getElementById("keys-on").checked;
  if (event.key === "Escape") event.target.blur?.();
  // A held arrow moves a slider or the page; no act of ours is done again and again.
  if (event.altKey || event.repeat || inField || !on) return undefined;
  if (digitOnRating(event) || perform(event.key)) event.preventDefault();
  return undefined;
}

function rebind(event) {
  event.preventDefault();
  const name = waiting;
  waiting = null;
  const isPlain = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
  const other = Object.keys(bound).find((one) => bound[one] === event.key && one !== name);
  if (other) say(`${event.key} is taken already.`);
  keep(isPlain && !other ? { ...bound, [name]: event.key } : bound);
  document.querySelector(`[data-change="${name}"]`)?.focus();
}

/** A digit while a rating has the focus sets it and goes on to the next one. */
function digitOnRating(event) {
  if (!/^[0-9]$/.test(event.key)) return false;
  const digit = Number(event.key);
  if (event.target.matches?.("[data-slider]")) rate(event.target, digit === 0 ? 100 : digit * 10);
  else {
    const place = event.target.closest?.("[data-rate]");
    const step = place?.querySelector(`input[value="${digit}"]`);
    if (!step) return false;
    step.checked = true;
    changed(step);
  }
  const next = nextRating();
  if (next) next.focus();
  else event.target.blur();
  return true;
}

function perform(key) {
  const name = Object.keys(bound).find((one) => bound[one] === key);
  if (!name) return false;
  if (name.startsWith("answer")) return pick(name.slice(6)) || focusColumn(name.slice(6));
  if (name === "tie") return pick("0");
  if (name === "none") return pick("-");
  if (name === "rate") nextRating()?.focus();
  else if (name === "mark") document.dispatchEvent(new CustomEvent("mark-selection"));
  else if (name === "skip" || name === "flag") act.leave(name);
  else if (name === "undo") undo() || act.step("previous");
  else if (name === "help") open();
  else act.step(name);
  return true;
}

function pick(which) {
  const choice = document.querySelector(`[data-pick="${which}"]`);
  if (!choice) return false;
  choice.checked = true;
  changed(choice);
  choice.closest("label").scrollIntoView({ block: "nearest" });
  say(choice.closest("label").querySelector("span").textContent);
  return true;
}

function focusColumn(number) {
  const column = document.querySelector(`[data-column="${number}"]`);
  if (!column) return false;
  (column.querySelector("[data-slider], [type=radio], select") ?? column).focus();
  return true;
}
