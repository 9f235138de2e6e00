// On a phone the panel's navigation is wider than the screen: brings the page that is open into view.

const here = document.querySelector(".panel-nav [aria-current]");
if (here) {
  const nav = here.parentElement;
  const from = here.getBoundingClientRect().left - nav.getBoundingClientRect().left;
  nav.scrollLeft += from - (nav.clientWidth - here.offsetWidth) / 2;
}
