// Counts the characters of the message while it is written.

const area = document.querySelector("[data-length]");
const now = document.querySelector("[data-length-now]");
area?.addEventListener("input", () => (now.textContent = [...area.value].length));
