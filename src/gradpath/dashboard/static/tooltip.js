// @ts-check
// The tooltip of the heat maps and of the profile.

import { swatch } from "./colours.js";
import { html } from "./elements.js";
import { clamp, decimal, whole } from "./numbers.js";
import { page } from "./page.js";
import { columnOf, drawn } from "./views.js";

/** @typedef {import("./views.js").View} View */

/**
 * Shows lines beside a point of the window.
 * @param {number} x
 * @param {number} y
 * @param {Node[]} lines
 */
export function showTip(x, y, lines) {
  page.tip.replaceChildren(...lines);
  page.tip.hidden = false;
  const { width, height } = page.tip.getBoundingClientRect();
  page.tip.style.left = `${x + 16 + width > window.innerWidth ? x - 16 - width : x + 16}px`;
  page.tip.style.top = `${clamp(y + 16, 0, window.innerHeight - height)}px`;
}

export function hideTip() {
  page.tip.hidden = true;
}

/**
 * @param {View} view
 * @param {number} column
 * @param {number} layer
 */
function reading(view, column, layer) {
  const shown = decimal(view.values[column][layer]);
  return view.relative ? `${shown} × last hidden layer (${decimal(view.measured[column][layer])})` : shown;
}

/**
 * The lines for a cell of a heat map.
 * @param {View} view
 * @param {number} column
 * @param {number} layer
 */
export function cellTip(view, column, layer) {
  const title = html("div", {}, html("b", {}, view.layers[layer]), `step ${whole(view.steps[column])}`);
  return [title, html("div", {}, reading(view, column, layer))];
}

/**
 * The lines for a layer of the profile.
 * @param {number} layer
 */
export function profileTip(layer) {
  return drawn.views.filter((view) => layer < view.layers.length).map((view) => {
    const theory = view.theory?.[layer] ?? NaN;
    return html("div", {}, swatch(view.colour), `${view.layers[layer]}: ${reading(view, columnOf(view), layer)}`,
      Number.isFinite(theory) ? `theory ${decimal(theory)}` : null);
  });
}
