// Marked places of a critique: selected or typed words become a span, in code points as the server counts.

import { changed } from "./form.js";
import { say } from "./status.js";

export function startMarks() {
  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("[data-mark]");
    if (button) mark(button.closest("[data-critique]"));
    const drop = target.closest?.("[data-drop]");
    if (drop) remove(drop);
  });
  // Pressing the button takes the selection away, so it is kept as words at once.
  document.addEventListener("selectionchange", noteSelection);
  document.addEventListener("mark-selection", () => {
    const column = document.getSelection().anchorNode?.parentElement?.closest("[data-column]");
    const box = column?.querySelector("[data-critique]");
    if (!box) return say("Select words in an answer first.");
    box.open = true;
    return mark(box);
  });
  document.addEventListener("restored", beginMarks);
}

export function beginMarks() {
  for (const box of document.querySelectorAll("[data-critique]")) draw(box);
}

const textOf = (box) => box.closest("[data-column]").querySelector("[data-text]");
const spansOf = (box) => JSON.parse(box.querySelector("[data-spans]").value || "[]");

function noteSelection() {
  const selection = document.getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return;
  const range = selection.getRangeAt(0);
  const text = range.startContainer.parentElement?.closest("[data-text].as-is");
  const box = text?.closest("[data-column]").querySelector("[data-critique]");
  if (!box || !text.contains(range.endContainer)) return;
  const before = document.createRange();
  before.selectNodeContents(text);
  before.setEnd(range.startContainer, range.startOffset);
  const start = points(before.toString());
  const words = range.toString();
  const field = box.querySelector("[data-words]");
  field.value = words;
  field.dataset.start = start;
}

const points = (text) => Array.from(text).length;

function mark(box) {
  const field = box.querySelector("[data-words]");
  const text = textOf(box).textContent;
  const words = field.value.trim() && field.value;
  const units = Array.from(text);
  const selected = Number(field.dataset.start ?? -1);
  const isThere = selected >= 0 && units.slice(selected, selected + points(words || "")).join("") === words;
  const found = words ? text.indexOf(words) : -1;
  const start = isThere ? selected : found < 0 ? -1 : points(text.slice(0, found));
  if (start < 0) return say("These words are not in the answer.");
  const type = box.querySelector("[data-type]").value;
  write(box, [...spansOf(box), { start, end: start + points(words), type }]);
  field.value = "";
  delete field.dataset.start;
  return say(`Marked: ${words}`);
}

function remove(button) {
  const box = button.closest("[data-critique]");
  write(box, spansOf(box).filter((_, at) => at !== Number(button.dataset.drop)));
  box.querySelector("[data-words]").focus();
}

function write(box, spans) {
  const field = box.querySelector("[data-spans]");
  field.value = JSON.stringify(spans);
  changed(field);
  draw(box);
}

function draw(box) {
  const text = textOf(box);
  const units = Array.from(text.textContent);
  const spans = spansOf(box);
  const rows = spans.map(({ start, end, type }, at) => {
    const row = document.createElement("li");
    const quote = document.createElement("q");
    quote.textContent = units.slice(start, end).join("");
    const drop = document.createElement("button");
    drop.type = "button";
    drop.className = "button quiet";
    drop.dataset.drop = at;
    drop.textContent = "×";
    drop.setAttribute("aria-label", `Remove the mark on “${quote.textContent}”`);
    row.append(quote, ` ${type} `, drop);
    return row;
  });
  box.querySelector("[data-marks]").replaceChildren(...rows);
  paint();
}

/** Colour the marked places without changing the text; a browser that cannot only lists them. */
function paint() {
  if (!window.CSS?.highlights) return;
  const ranges = [];
  for (const box of document.querySelectorAll("[data-critique]")) {
    const node = textOf(box).firstChild;
    if (!node) continue;
    const units = Array.from(node.data);
    for (const { start, end } of spansOf(box)) {
      const range = new Range();
      range.setStart(node, units.slice(0, start).join("").length);
      range.setEnd(node, units.slice(0, end).join("").length);
      ranges.push(range);
    }
  }
  CSS.highlights.set("marked", new Highlight(...ranges));
}
