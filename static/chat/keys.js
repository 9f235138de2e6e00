// Single keys for the newest turn, outside of text fields only; they can be switched off.

import { stop } from "./composer.js";
import { isWriting } from "./stream.js";
import { toast } from "./status.js";

const STORE = "chat-keys";

export function startKeys() {
  const help = document.getElementById("key-help");
  const box = document.getElementById("keys-on");
  box.checked = localStorage.getItem(STORE) !== "off";
  box.addEventListener("change", () => localStorage.setItem(STORE, box.checked ? "on" : "off"));
  document.addEventListener("click", ({ target }) => target.closest?.("[data-help]") && help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !help.open && isWriting()) return stop();
    const inField = event.target.closest("textarea, select, input:not([type=range], [type=checkbox], [type=radio])");
    const busy = event.ctrlKey || event.metaKey || event.altKey || event.isComposing;
    if (inField || busy || !box.checked || help.open) return undefined;
    if (act(event.key, help)) event.preventDefault();
    return undefined;
  });
}

/** Do what a key says; returns whether it says anything. */
function act(key, help) {
  const turn = document.querySelector(".turn.is-last");
  if (key === "?") {
    help.showModal();
    return true;
  }
  if (!turn || !/^[1-40b-]$/.test(key)) return false;
  if (turn.hasAttribute("data-open")) {
    toast("Wait until the answers are complete.");
    return true;
  }
  if (key === "b") compare(turn);
  else if (key === "0") turn.querySelector("[data-alike]")?.click();
  else if (key === "-") turn.querySelector("[data-none]")?.click();
  else turn.querySelector(`.reply[data-number="${key}"] .pick`)?.click();
  return true;
}

/** Ask for the base model's answer beside the one in focus, the picked one or the first. */
function compare(turn) {
  const reply =
    document.activeElement?.closest(".reply:not(.comparison)") ??
    turn.querySelector(".reply.is-chosen") ??
    turn.querySelector(".reply:not(.comparison)");
  if (!reply) return;
  const id = turn.id;
  window.htmx
    .ajax("POST", reply.dataset.compare, { target: `#${id}`, swap: "outerHTML", source: reply })
    .then(() => document.getElementById(id)?.querySelector(".comparison")?.scrollIntoView({ block: "nearest" }));
}
