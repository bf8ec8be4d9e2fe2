// A classic script on purpose: it runs before the first paint, so that a remembered theme does not
// flash in the other one. Everything else about the theme is in view/header.js.
(() => {
  try {
    const theme = localStorage.getItem("chat.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // storage may be switched off; then the system decides
  }
})();
