// @ts-check
// A run's heat map: layer by step.

import { PATTERNS, paint, palette, SHADES } from "./colours.js";
import { html, svg, textWidth } from "./elements.js";
import { arrow } from "./keyboard.js";
import { clamp, ending, last, thinned, ticks, whole } from "./numbers.js";
import { spare } from "./page.js";
import { goTo } from "./steps.js";
import { hideTip, showTip } from "./tip.js";
import { cellTip } from "./tooltip.js";
import { columnOf, drawn } from "./views.js";

/** @typedef {import("./colours.js").ColourAt} ColourAt */
/** @typedef {import("./views.js").View} View */

/**
 * Where the columns of the steps begin and end: one edge more than there are steps.
 * @param {number[]} steps
 */
function edges(steps) {
  if (steps.length === 1) return [steps[0] - 0.5, steps[0] + 0.5];
  const between = steps.slice(1).map((step, index) => (step + steps[index]) / 2);
  return [2 * steps[0] - between[0], ...between, 2 * last(steps) - last(between)];
}

/**
 * The column at a fraction of the width.
 * @param {number[]} cuts
 * @param {number} fraction
 */
function columnAt(cuts, fraction) {
  const step = cuts[0] + fraction * (last(cuts) - cuts[0]);
  return clamp(cuts.findIndex((cut) => cut > step) - 1, 0, cuts.length - 2);
}

/**
 * Draws a run's heat map into its panel.
 * @param {View} view
 * @param {HTMLElement} plot
 * @param {number} rows the rows of panels
 */
export function drawHeatMap(view, plot, rows) {
  const [left, bottom, top] = [Math.min(132, Math.max(...view.layers.map((name) => textWidth(ending(name)))) + 34), 36, 8];
  const width = Math.max(60, plot.clientWidth - left - 8);
  const height = clamp(spare() * (rows > 1 ? 0.34 : 0.55), 120, 420);
  const cuts = edges(view.steps);
  const count = view.layers.length;
  /** @param {number} step */
  const across = (step) => left + ((step - cuts[0]) / (last(cuts) - cuts[0])) * width;
  /** @param {number} layer */
  const down = (layer) => top + height * (1 - (layer + 0.5) / count);
  const canvas = html("canvas", { style: `left: ${left}px; top: ${top}px` });
  paint(canvas, width, height, cellColours(view, cuts));

  const marks = svg("g", { class: "marks" });
  const middle = { "text-anchor": "middle" };
  const [shown, recorded] = [view.steps.length, view.recorded];
  const overlay = svg("svg", {
    width: plot.clientWidth, height: height + top + bottom, tabindex: 0, role: "img",
    "aria-label": `Heat map of ${view.name}: ${drawn.what.axis}, layer by step. Arrow keys move through it.`,
  },
    svg("rect", { class: "axis", x: left - 0.5, y: top - 0.5, width: width + 1, height: height + 1 }),
    ...thinned(count, height / count, 13).map((layer) =>
      svg("text", { x: left - 7, y: down(layer) + 4, "text-anchor": "end" }, ending(view.layers[layer]))),
    ...ticks(view.steps[0], last(view.steps) || 1, width / 80, 1).map((step) =>
      svg("text", { x: across(step), y: top + height + 15, ...middle }, whole(step))),
    svg("text", { class: "title", x: left + width / 2, y: top + height + 31, ...middle },
      shown < recorded ? `step (${whole(shown)} of ${whole(recorded)} recorded ones are drawn)` : "step"),
    svg("text", { class: "title", transform: `translate(11 ${top + height / 2}) rotate(-90)`, ...middle }, "layer (input below)"),
    marks);
  plot.replaceChildren(canvas, overlay);

  view.mark = (step) => {
    const x = across(step);
    /** @param {string} name */
    const line = (name) => svg("line", { class: name, x1: x, x2: x, y1: top, y2: top + height });
    marks.replaceChildren(line("halo"), line("now"), svg("path", { class: "hand", d: `M${x - 5} ${top - 7}h10l-5 7z` }));
  };

  /** @param {MouseEvent} event */
  const cell = (event) => {
    const box = overlay.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (x < left || x > left + width || y < top || y > top + height) return null;
    const layer = clamp(Math.floor((1 - (y - top) / height) * count), 0, count - 1);
    return { column: columnAt(cuts, (x - left) / width), layer };
  };
  overlay.addEventListener("pointermove", (event) => {
    const at = cell(event);
    if (at) showTip(event.clientX, event.clientY, cellTip(view, at.column, at.layer));
    else hideTip();
  });
  overlay.addEventListener("pointerleave", hideTip);
  overlay.addEventListener("blur", hideTip);
  overlay.addEventListener("click", (event) => {
    const at = cell(event);
    if (at) goTo(view.steps[at.column]);
  });
  overlay.addEventListener("keydown", (event) => {
    const move = arrow(event);
    if (!move) return;
    const [sideways, upwards] = move;
    view.layer = clamp(view.layer + upwards, 0, count - 1);
    const column = clamp(columnOf(view) + sideways, 0, view.steps.length - 1);
    if (sideways) goTo(view.steps[column]);
    const box = overlay.getBoundingClientRect();
    showTip(box.left + across(view.steps[column]), box.top + down(view.layer), cellTip(view, column, view.layer));
  });
}

/**
 * @param {View} view
 * @param {number[]} cuts
 * @returns {ColourAt}
 */
function cellColours(view, cuts) {
  const scale = drawn.colourScale;
  const colours = palette(scale.colours);
  const count = view.layers.length;
  const codes = view.values.map((row) => row.map((value) => scale.special(value)
    ?? colours[clamp(Math.round((SHADES * (scale.place(value) - scale.low)) / (scale.high - scale.low)), 0, SHADES)]));
  /** @type {number[]} */
  const columns = [];
  return (x, y, width, height, density) => {
    /** @param {number} line */
    const layerAt = (line) => count - 1 - Math.floor((line * count) / height);
    const layer = layerAt(y);
    // Few layers are told apart by a gap between them.
    if (height / count > 14 * density && layer > 0 && layerAt(y + density) !== layer) return 0;
    columns[x] ??= columnAt(cuts, (x + 0.5) / width);
    const code = codes[columns[x]][layer];
    return typeof code === "string" ? PATTERNS[code](Math.floor(x / density), Math.floor(y / density)) : code;
  };
}
