// @ts-check
// The tab "Gradient Flow". TensorBoard imports this module and calls `render`.

import { html } from "./elements.js";
import { build } from "./page.js";
import { listen, poll } from "./updating.js";

/** TensorBoard tells its frames nothing of its dark mode, but they can see its class. */
function followTheme() {
  const host = window.parent === window ? null : window.parent.document.body;
  const apply = () => {
    const dark = host ? host.classList.contains("dark-mode") : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  if (host) new MutationObserver(apply).observe(host, { attributes: true, attributeFilter: ["class"] });
}

export async function render() {
  document.documentElement.lang = "en";
  const style = html("link", { rel: "stylesheet", href: new URL("style.css", import.meta.url).href });
  await new Promise((resolve) => {
    style.addEventListener("load", resolve);
    style.addEventListener("error", resolve);
    document.head.append(style);
  });
  followTheme();
  build();
  listen();
  poll();
}
