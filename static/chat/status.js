// One line for screen readers, and short notices in the corner. Knows nothing of what happened.

const SHOWN_MS = 8000;

/** Say something politely, once. */
export function say(words) {
  const node = document.getElementById("chat-status");
  if (node && node.textContent !== words) node.textContent = words;
}

/** Show a notice for some seconds; `link` is [address, words]. */
export function toast(words, link) {
  const box = document.getElementById("toasts");
  if (!box) return;
  const note = document.createElement("div");
  note.className = "toast";
  const text = document.createElement("span");
  text.textContent = words;
  note.append(text);
  if (link) {
    const anchor = document.createElement("a");
    [anchor.href, anchor.textContent] = link;
    note.append(" ", anchor);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button quiet";
  close.textContent = "×";
  close.setAttribute("aria-label", "Close this notice");
  close.addEventListener("click", () => note.remove());
  note.append(close);
  box.replaceChildren(note);
  if (!link) setTimeout(() => note.remove(), SHOWN_MS);
}
