// @ts-check
// Light or dark.

/**
 * Follows the reader's choice of light or dark.
 * @param {HTMLElement | null} host the body of TensorBoard, which tells its frames nothing of its dark mode; but they can see
 *   its class. Without it, the browser's setting is followed.
 */
export function followTheme(host) {
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const dark = host ? host.classList.contains("dark-mode") : preferred.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  if (host) new MutationObserver(apply).observe(host, { attributes: true, attributeFilter: ["class"] });
  else preferred.addEventListener("change", apply);
}
