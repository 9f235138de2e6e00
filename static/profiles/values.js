// The page of values: search, counts, rows for own values. Without it everything can still be picked and saved.

const form = document.getElementById("values-form");
const field = form.querySelector("[data-filter-field]");
const filter = form.querySelector("[data-filter]");
const own = form.querySelector("[data-own]");
const openBefore = new Map(); // group -> whether it was open before the search began
let rows = own.querySelectorAll("[data-own-row]").length;

field.hidden = false;
filter.addEventListener("input", search);
filter.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
form.addEventListener("change", ({ target }) => target.name === "chosen" && count(target.closest("[data-group]")));
prepare(own);

function search() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of form.querySelectorAll("[data-group]")) {
    if (!openBefore.has(group)) openBefore.set(group, group.open);
    const name = group.querySelector("summary > span").textContent.toLowerCase();
    let matches = 0;
    for (const value of group.querySelectorAll("[data-value]")) {
      const text = `${name} ${value.querySelector("label").textContent} ${value.querySelector("p").textContent}`.toLowerCase();
      value.hidden = !words.every((word) => text.includes(word));
      matches += !value.hidden;
    }
    group.hidden = matches === 0;
    group.open = words.length ? matches > 0 : openBefore.get(group);
    found += matches;
  }
  if (!words.length) openBefore.clear();
  for (const dimension of form.querySelectorAll("[data-dimension]")) {
    dimension.hidden = !dimension.querySelector("[data-group]:not([hidden])");
  }
  form.querySelector("[data-no-match]").hidden = found > 0;
}

function count(group) {
  const badge = group.querySelector("[data-count]");
  const picked = group.querySelectorAll("input:checked").length;
  badge.textContent = picked;
  badge.hidden = picked === 0;
}

function prepare(parent) {
  for (const button of parent.querySelectorAll("[data-remove-row]")) button.hidden = false;
}

function changed() {
  form.dispatchEvent(new CustomEvent("rows-changed"));
  window.htmx?.trigger("#preview", "refresh");
}

form.querySelector("[data-add-row]").addEventListener("click", (event) => {
  event.preventDefault();
  const row = document.getElementById("own-row").content.firstElementChild.cloneNode(true);
  for (const part of row.querySelectorAll("[id$=-new], [for$=-new]")) {
    if (part.id) part.id = part.id.replace(/new$/, rows);
    if (part.htmlFor) part.htmlFor = part.htmlFor.replace(/new$/, rows);
  }
  rows += 1;
  prepare(row);
  event.currentTarget.before(row);
  row.querySelector("input").focus();
});

own.addEventListener("click", ({ target }) => {
  if (!target.matches("[data-remove-row]")) return;
  const row = target.closest("[data-own-row]");
  const next = row.nextElementSibling?.querySelector("input") ?? form.querySelector("[data-add-row]");
  row.remove();
  next.focus();
  changed();
});
