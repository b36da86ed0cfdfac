// @ts-check
// The box with words beside the pointer or the focus. There is one on a page.

import { html } from "./elements.js";
import { clamp } from "./numbers.js";

export const tip = html("div", { id: "tip", role: "tooltip", hidden: true });

/**
 * Shows lines beside a point of the window.
 * @param {number} x
 * @param {number} y
 * @param {Node[]} lines
 */
export function showTip(x, y, lines) {
  tip.replaceChildren(...lines);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${x + 16 + width > window.innerWidth ? Math.max(0, x - 16 - width) : x + 16}px`;
  tip.style.top = `${clamp(y + 16, 0, window.innerHeight - height)}px`;
}

export function hideTip() {
  tip.hidden = true;
}
