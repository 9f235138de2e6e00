// The strength sliders save by themselves; without this module the form has a button.

import { csrfToken } from "../base/csrf.js";

const form = document.getElementById("strengths-form");
const status = document.getElementById("strength-status");
const WAIT_MS = 350;
const touched = new Map(); // only what was moved is sent: another device may have moved the others
let timer;
let saving = Promise.resolve();

function words(slider) {
  const strength = Number(slider.value);
  const { off, weaker, learned, stronger } = slider.dataset;
  if (strength === 0) return off;
  if (Math.abs(strength - 1) < 0.05) return learned;
  return strength > 1 ? stronger : weaker;
}

function show(slider) {
  const [number, text, kl] = slider.parentElement.querySelector("output").children;
  number.textContent = String(Number(slider.value));
  text.textContent = words(slider);
  if (kl) kl.textContent = (slider.dataset.curvature * slider.value ** 2).toFixed(3);
  slider.setAttribute("aria-valuetext", `${slider.value}, ${words(slider)}`);
}

async function save() {
  const body = new URLSearchParams([...touched]);
  touched.clear();
  try {
    const headers = { Accept: "application/json", "X-CSRFToken": csrfToken() };
    const response = await fetch(form.action, { method: "POST", body, headers });
    if (!response.ok) throw new Error((await response.json()).error);
    if (response.redirected) return location.reload(); // signed out meanwhile
    tell(status.dataset.saved, false);
  } catch (error) {
    tell(error instanceof TypeError || error instanceof SyntaxError ? status.dataset.failed : error.message, true);
  }
}

function tell(words, isBad) {
  status.textContent = words;
  status.classList.toggle("bad", isBad);
}

if (form) {
  form.hidden = true;
  for (const slider of document.querySelectorAll("[data-strength]")) {
    show(slider);
    slider.addEventListener("input", () => show(slider));
    slider.addEventListener("change", () => {
      touched.set(slider.name, slider.value);
      clearTimeout(timer);
      timer = setTimeout(() => { saving = saving.then(save); }, WAIT_MS);
    });
  }
}

for (const slider of document.querySelectorAll("[data-percent]")) {
  const number = slider.parentElement.querySelector("output .number");
  slider.addEventListener("input", () => { number.textContent = `${slider.value} %`; });
}
