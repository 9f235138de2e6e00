// The place to write: Enter sends, the text grows the box, Stop stops, nothing typed is lost.

import { isWriting } from "./stream.js";

export function startComposer() {
  const form = document.getElementById("composer");
  if (!form) return;
  const field = form.querySelector("textarea");
  const isTouch = matchMedia("(pointer: coarse)").matches;
  resize(field);
  count(form, field);
  field.addEventListener("input", () => {
    resize(field);
    count(form, field);
    const error = document.getElementById("composer-error");
    if (error) error.hidden = true;
  });
  field.addEventListener("keydown", (event) => {
    // 229: an input method is composing, and Enter takes its suggestion.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229 || isTouch) return;
    event.preventDefault();
    if (field.value.trim() && !isWriting()) form.requestSubmit();
  });
  forgetFirstMessage();
  window.addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return; // Back after a first message: what was sent does not wait to be sent again
    field.value = sessionStorage.getItem(`draft:${field.dataset.draft}`) ?? "";
    resize(field);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.elt !== form || !detail.successful) return;
    field.value = "";
    resize(field);
    count(form, field);
    field.focus();
    document.scrollingElement.scrollTop = document.scrollingElement.scrollHeight;
  });
  const turns = document.querySelectorAll(".turn");
  if (turns.length > 1 && !location.hash) turns[turns.length - 1].scrollIntoView();
  document.getElementById("stop")?.addEventListener("click", stop);
  for (const opener of document.querySelectorAll("[data-opener]")) {
    opener.addEventListener("click", () => {
      field.value = opener.textContent;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    });
  }
}

/** Stop what is being written. */
export async function stop() {
  const button = document.getElementById("stop");
  if (!isWriting() || button?.disabled) return;
  if (button) button.disabled = true;
  // The stream itself says when the answers have stopped; nothing is swapped here.
  for (const turn of document.querySelectorAll(".turn[data-open]")) {
    await window.htmx.ajax("POST", turn.dataset.stop, { source: turn, swap: "none" });
  }
  if (button) button.disabled = false;
}

/** A first message is sent by a plain form: its draft goes when it stands in the conversation, not before. */
function forgetFirstMessage() {
  const said = document.querySelector(".turn .bubble")?.textContent.trim();
  if (!said) return;
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith("draft:new-") && sessionStorage.getItem(key).trim() === said) sessionStorage.removeItem(key);
  }
}

function resize(field) {
  field.style.blockSize = "auto";
  field.style.blockSize = `${Math.min(field.scrollHeight + 2, window.innerHeight * 0.4)}px`;
}

function count(form, field) {
  const most = Number(field.dataset.max);
  const node = form.querySelector("[data-count]");
  const left = most - field.value.length;
  node.hidden = left > most * 0.1;
  node.textContent = left >= 0 ? `${left} characters left` : `${-left} characters too many`;
  node.classList.toggle("is-bad", left < 0);
}
