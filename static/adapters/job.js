// Tell a screen reader when a job changes its state or phase, and only then; keep opened tables open.

const announcement = document.getElementById("job-announcement");
let state = document.getElementById("job")?.dataset.state;
let open = [];

const tables = () => [...document.querySelectorAll("#job .curve details")];

document.addEventListener("htmx:beforeSwap", () => {
  open = tables().map((table) => table.open);
});

document.addEventListener("htmx:afterSwap", () => {
  tables().forEach((table, i) => { table.open = open[i] ?? false; });
  const job = document.getElementById("job");
  if (!job || job.dataset.state === state) return;
  state = job.dataset.state;
  announcement.textContent = document.getElementById("job-state").textContent.trim().replace(/\s+/g, " ");
  if (!job.hasAttribute("hx-get")) document.getElementById("cancel-dialog")?.remove();
});
