// @ts-check
// The tab "Gradient Flow". TensorBoard imports this module and calls `render`.

import { html } from "./elements.js";
import { build } from "./page.js";
import { followTheme } from "./theme.js";
import { listen, poll } from "./updating.js";

export async function render() {
  document.documentElement.lang = "en";
  await Promise.all(["base.css", "style.css"].map((name) => new Promise((resolve) => {
    const style = html("link", { rel: "stylesheet", href: new URL(name, import.meta.url).href });
    style.addEventListener("load", resolve);
    style.addEventListener("error", resolve);
    document.head.append(style);
  })));
  followTheme(window.parent === window ? null : window.parent.document.body);
  build();
  listen();
  poll();
}
