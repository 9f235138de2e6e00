// Survey sliders: untouched is not an answer, and a place is said in words and never as a number.

const form = document.querySelector("form[data-words]");
const words = form.dataset.words.split("|");

function describe(row) {
  const slider = row.querySelector("input[type=range]");
  const isSet = row.querySelector(".slider-set input").checked;
  const place = Math.min(words.length - 1, Math.floor((slider.value * words.length) / 101));
  slider.setAttribute("aria-valuetext", isSet ? words[place] : form.dataset.nothing);
}

function touch(row) {
  row.querySelector(".slider-set input").checked = true;
  describe(row);
}

for (const row of form.querySelectorAll("[data-slider]")) {
  const slider = row.querySelector("input[type=range]");
  slider.addEventListener("input", () => touch(row));
  // A click where the hidden thumb waits moves nothing, yet it is an answer.
  slider.addEventListener("pointerup", () => {
    touch(row);
    slider.dispatchEvent(new Event("change", { bubbles: true }));
  });
  slider.addEventListener("keydown", (event) => {
    const step = { PageUp: 10, PageDown: -10 }[event.key];
    if (step) {
      event.preventDefault();
      slider.value = Number(slider.value) + step;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault(); // Enter would send the form
      touch(row);
    }
  });
  row.querySelector(".slider-set input").addEventListener("change", () => describe(row));
}
