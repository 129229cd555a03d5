// The dark theme of Swagger UI: that of the user's choice, which the server has rendered, or else that of the system. It runs before the first
// paint, so that a dark page never flashes white.
(() => {
  const page = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => page.classList.toggle("dark-mode", page.dataset.theme ? page.dataset.theme === "dark" : dark.matches);
  dark.addEventListener("change", apply);
  apply();
})();
