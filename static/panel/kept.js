// Whoever sends a form of the panel late is asked for the password first, and comes back to the form: what was
// typed stands in it again. profiles/unsaved.js, which runs after this, keeps and restores it.

const panel = document.querySelector(".panel");

for (const form of panel.querySelectorAll("form[method=post]")) {
  if (!form.querySelector("input:not([type=hidden]), textarea, select")) continue; // nothing can be typed
  form.dataset.guard = `${panel.dataset.person}:${new URL(form.action).pathname}`; // of several forms each its own
  form.dataset.brief = "";
  form.dataset.again = panel.dataset.again;
}
