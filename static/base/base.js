// What every page has: the theme switch, and the CSRF token for modules that fetch.

const THEMES = ["system", "light", "dark"];

export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}

/** POST form data and return the response; rejects with an Error that carries the server's words. */
export async function post(url, data = {}) {
  const body = data instanceof FormData ? data : new URLSearchParams(data);
  const response = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": csrfToken() } });
  if (!response.ok) {
    const words = (response.headers.get("content-type") ?? "").startsWith("application/json")
      ? (await response.json()).error
      : response.statusText;
    throw Object.assign(new Error(words || `The server answered ${response.status}.`), { status: response.status });
  }
  return response;
}

document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
  root.dataset.theme = next;
  document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
});
