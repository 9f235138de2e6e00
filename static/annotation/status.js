// One line for screen readers.

export function say(words) {
  const node = document.getElementById("work-status");
  if (node) node.textContent = words;
}
