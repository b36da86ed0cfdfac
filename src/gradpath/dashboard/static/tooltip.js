// @ts-check
// What the tooltip says of the heat maps and of the profile.

import { swatch } from "./colours.js";
import { html } from "./elements.js";
import { decimal, whole } from "./numbers.js";
import { columnOf, drawn } from "./views.js";

/** @typedef {import("./views.js").View} View */

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
