// Warns before a page with unsaved changes is left. Forms say data-guard; data-dirty when they come back unsaved.

for (const form of document.querySelectorAll("form[data-guard]")) {
  let dirty = "dirty" in form.dataset;
  form.addEventListener("input", ({ target }) => (dirty ||= target.type !== "search"));
  form.addEventListener("change", ({ target }) => (dirty ||= target.type !== "search"));
  form.addEventListener("rows-changed", () => (dirty = true));
  form.addEventListener("submit", () => (dirty = false));
  window.addEventListener("beforeunload", (event) => dirty && event.preventDefault());
}
