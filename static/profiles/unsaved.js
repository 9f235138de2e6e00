// Warns before a page with unsaved changes is left, and brings back what was sent after the session had ended.
// Forms say data-guard with whose they are; data-dirty when they come back unsaved; data-brief when they are too
// short for a warning; data-again what stands above what is brought back.

for (const form of document.querySelectorAll("form[data-guard]")) {
  const key = `sent:${form.dataset.guard}:${location.pathname}`;
  let dirty = "dirty" in form.dataset;
  form.addEventListener("input", ({ target }) => (dirty ||= target.type !== "search"));
  form.addEventListener("change", ({ target }) => (dirty ||= target.type !== "search"));
  form.addEventListener("rows-changed", () => (dirty = true));
  if (!("brief" in form.dataset)) window.addEventListener("beforeunload", (event) => dirty && event.preventDefault());
  const sent = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  // Whoever comes from signing in sent it in vain; the server answers with this page or another one otherwise.
  if (sent && document.referrer && new URL(document.referrer).pathname.startsWith("/accounts/")) {
    restore(form, JSON.parse(sent));
    dirty = true;
  }
  form.addEventListener("submit", () => {
    dirty = false;
    const fields = [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");
    sessionStorage.setItem(key, JSON.stringify(fields));
  });
}

function restore(form, fields) {
  const values = new Map();
  for (const [name, value] of fields) values.set(name, [...(values.get(name) ?? []), value]);
  const rows = () => form.querySelectorAll("[name=own_text]").length;
  for (let n = rows(); n < (values.get("own_text")?.length ?? 0); n += 1) form.querySelector("[data-add-row]").click();
  const taken = new Map();
  for (const field of form.elements) {
    if (!field.name || field.name === "csrfmiddlewaretoken" || field.type === "submit") continue;
    const given = values.get(field.name) ?? [];
    if (field.type === "checkbox" || field.type === "radio") field.checked = given.includes(field.value);
    else {
      const place = taken.get(field.name) ?? 0;
      taken.set(field.name, place + 1);
      field.value = given[place] ?? "";
    }
    field.dispatchEvent(new Event("change", { bubbles: true })); // counts and previews follow
  }
  const note = document.createElement("p");
  note.className = "notice warn";
  note.setAttribute("role", "status");
  note.textContent = form.dataset.again ?? "You were signed out when you sent this. It stands here again; save it now.";
  form.before(note);
}
