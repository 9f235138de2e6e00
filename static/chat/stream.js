// Answers as they are written: one EventSource per turn, text nodes while it goes, the server's
// sanitised HTML at the end. What was received is kept here, so that a swap of the turn loses nothing.

import { say } from "./status.js";

const sources = new Map(); // turn id -> EventSource
const written = new Map(); // reply id -> text received so far

export function startStreams() {
  listen();
  document.addEventListener("htmx:afterSettle", listen);
}

/** Say whether an answer is being written on this page. */
export function isWriting() {
  return document.querySelector(".turn[data-open]") !== null;
}

function listen() {
  for (const turn of document.querySelectorAll(".turn")) {
    if (turn.querySelector("[data-running]")) {
      repaint(turn);
      if (!sources.has(turn.dataset.turn)) connect(turn);
    }
  }
  for (const [id, source] of sources) {
    if (!document.getElementById(`turn-${id}`)) {
      source.close();
      sources.delete(id);
    }
  }
  showStop();
}

function repaint(turn) {
  for (const node of turn.querySelectorAll("[data-running]")) {
    const text = written.get(node.closest("[data-reply]").dataset.reply);
    if (text) node.textContent = text;
  }
}

function connect(turn) {
  const id = turn.dataset.turn;
  const source = new EventSource(turn.dataset.events);
  sources.set(id, source);
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  if (turn.hasAttribute("data-open")) say("Generating");
  for (const node of turn.querySelectorAll("[data-running]")) {
    written.set(node.closest("[data-reply]").dataset.reply, "");
    node.textContent = "";
  }
  on("token", ({ reply, text }) => {
    written.set(reply, (written.get(reply) ?? "") + text);
    const node = document.getElementById(`text-${reply}`);
    if (!node) return;
    follow(() => node.append(text));
    note(reply, "", false);
  });
  on("restart", ({ reply }) => {
    written.set(reply, "");
    document.getElementById(`text-${reply}`)?.replaceChildren();
  });
  on("waiting", ({ reply, ahead }) => note(reply, waitingWords(ahead), false));
  on("stalled", ({ reply, error }) => note(reply, error, true));
  on("done", (data) => finish(data));
  on("end", () => end(id));
  source.addEventListener("error", () => {
    // The browser reconnects by itself, with the id of the last event; only a refusal ends it.
    if (source.readyState === EventSource.CLOSED) end(id);
  });
}

function waitingWords(ahead) {
  if (ahead === 0) return "Waiting for a free worker…";
  return ahead === 1 ? "Waiting: one answer is before yours…" : `Waiting: ${ahead} answers are before yours…`;
}

function finish({ reply, status, html, error }) {
  written.delete(reply);
  const node = document.getElementById(`text-${reply}`);
  if (!node) return;
  follow(() => {
    node.innerHTML = html;
    node.removeAttribute("data-running");
    node.removeAttribute("aria-busy");
  });
  if (status === "failed") note(reply, error || "This answer failed.", true);
  else if (status === "stopped") note(reply, "Stopped here.", false);
  else note(reply, "", false);
  const turn = node.closest(".turn");
  const answers = turn.querySelectorAll(".reply:not(.comparison) [data-text]");
  const complete = turn.querySelectorAll(".reply:not(.comparison) [data-text]:not([data-running])");
  say(answers.length === 1 ? "Answer complete" : `Answer ${complete.length} of ${answers.length} complete`);
}

function end(id) {
  sources.get(id)?.close();
  sources.delete(id);
  const turn = document.getElementById(`turn-${id}`);
  // A comparison that ended needs no new turn: something may be typed in it.
  if (turn?.hasAttribute("data-open")) {
    window.htmx.ajax("GET", turn.dataset.url, { target: `#turn-${id}`, swap: "outerHTML" });
  }
}

function note(reply, words, canTryAgain) {
  const box = document.querySelector(`#reply-${CSS.escape(reply)} [data-note]`);
  if (!box) return;
  box.hidden = !words;
  box.querySelector("[data-words]").textContent = words;
  box.querySelector("[data-again]").hidden = !canTryAgain;
  box.classList.toggle("is-bad", canTryAgain);
}

/** Change the page, and stay at its end if that is where the reader is. */
function follow(change) {
  const page = document.scrollingElement;
  const atEnd = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
  change();
  if (atEnd) page.scrollTop = page.scrollHeight;
}

/** Stop takes the place of Send while answers are written. */
export function showStop() {
  const stop = document.getElementById("stop");
  if (!stop) return;
  const hadFocus = document.activeElement === stop;
  stop.hidden = !isWriting();
  document.getElementById("send").hidden = isWriting();
  if (hadFocus && stop.hidden) document.getElementById("message").focus();
}
