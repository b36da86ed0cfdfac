// @ts-check
// The profile: values over depth at the chosen step, beside the theory and other seeds.

import { SPECIALS } from "./colours.js";
import { fill, html, svg, textWidth } from "./elements.js";
import { clamp, last, shortened, thinned, whole } from "./numbers.js";
import { page, spare } from "./page.js";
import { scaleTicks } from "./scales.js";
import { brief } from "./state.js";
import { hideTip, profileTip, showTip } from "./tooltip.js";
import { columnOf, drawn } from "./views.js";

/** @typedef {import("./colours.js").Special} Special */
/** @typedef {import("./views.js").View} View */

/**
 * A title and a name per layer. "hidden_01", ..., "output" read well as "01", ..., "output" under a title with the rest.
 * @param {View[]} views
 * @returns {[title: string, names: string[]]}
 */
function axisLayers(views) {
  const [first, ...others] = views.map((view) => view.layers);
  const longest = Math.max(...views.map((view) => view.layers.length));
  if (others.some((layers) => layers.join("\n") !== first.join("\n"))) {
    return ["layer, counted from the input", Array.from({ length: longest }, (_, index) => String(index + 1))];
  }
  const stem = first[0].replace(/\d+$/, "");
  const hidden = first.slice(0, -1);
  const numbered = hidden.length > 1 && stem
    && hidden.every((name) => name.startsWith(stem) && /^\d+$/.test(name.slice(stem.length)));
  if (!numbered) return ["layer (input at the left)", first.map((name) => shortened(name))];
  const words = stem.replace(/[_.\s]+$/, "").replaceAll("_", " ");
  return [`${shortened(words, 40)} layer (input at the left)`, [...hidden.map((name) => name.slice(stem.length)), last(first)].map((name) => shortened(name))];
}

/**
 * Draws the profile and its legend.
 * @param {number} step the chosen one
 */
export function drawProfile(step) {
  const { chart } = page;
  const { scale, views } = drawn;
  const [title, names] = axisLayers(views);
  const yTicks = scaleTicks(scale, 6);
  const [left, right, top, bottom] = [Math.max(...yTicks.map(([, label]) => textWidth(label))) + 14, 16, 6, 36];
  const [width, height] = [Math.max(80, chart.clientWidth - left - right), clamp(0.45 * spare(), 160, 340)];
  const gap = 0.02 * height;
  /** @param {number} layer */
  const across = (layer) => left + (names.length === 1 ? width / 2 : 12 + (layer / (names.length - 1)) * (width - 24));
  /** @param {number} at a place on the scale */
  const level = (at) => top + gap + (height - 2 * gap) * (1 - (at - scale.low) / (scale.high - scale.low));
  /** @param {number} value */
  const up = (value) => level(scale.place(value));
  const room = Math.max(...names.map(textWidth)) + 10;

  /** @param {number[]} values */
  const path = (values) => values.map((value, layer) => {
    if (scale.special(value) !== null) return "";
    const joined = layer > 0 && scale.special(values[layer - 1]) === null;
    return `${joined ? "L" : "M"}${across(layer).toFixed(1)} ${up(value).toFixed(1)}`;
  }).join("");
  // Both edges have a place on the scale at the layers up to the last hidden one.
  /** @param {number[][]} rows */
  const area = ([low, high]) => {
    const layers = [...low.keys()].filter((layer) => [low, high].every((row) => scale.special(row[layer]) === null));
    /** @type {(row: number[], order: number[]) => string} */
    const points = (row, order) =>
      order.map((layer) => `${across(layer).toFixed(1)} ${up(row[layer]).toFixed(1)}`).join("L");
    return layers.length > 1 ? `M${points(low, layers)}L${points(high, layers.toReversed())}Z` : "";
  };
  const curves = views.flatMap((view) => {
    const values = view.values[columnOf(view)];
    const dots = names.length > 60 ? [] : values.map((value, layer) => scale.special(value) === null
      ? svg("circle", { class: "dot", cx: across(layer), cy: up(value), r: 3.5, fill: view.colour }) : null);
    return [
      ...view.bands.map(({ kind, rows }) => svg("path", { class: `band ${kind}`, d: area(rows), fill: view.colour })),
      view.theory ? svg("path", { class: "theory", d: path(view.theory), stroke: view.colour }) : null,
      svg("path", { class: "measured", "data-run": view.name, d: path(values), stroke: view.colour }),
      ...dots, ...values.map((value, layer) => offScale(scale.special(value), across(layer), top, height, view.colour)),
    ];
  });
  const hair = svg("line", { class: "axis" });
  const drawing = svg("svg", {
    width: chart.clientWidth, height: height + top + bottom, role: "img",
    "aria-label": `${drawn.what.axis} over depth, ${page.readout.textContent}`,
  },
    ...yTicks.flatMap(([at, label]) => [
      svg("line", { class: "grid", x1: left, x2: left + width, y1: level(at), y2: level(at) }),
      svg("text", { x: left - 7, y: level(at) + 4, "text-anchor": "end" }, label)]),
    svg("path", { class: "axis", d: `M${left} ${top}v${height}h${width}` }),
    ...thinned(names.length, (width - 24) / Math.max(1, names.length - 1), room).map((layer) =>
      svg("text", { x: across(layer), y: top + height + 15, "text-anchor": "middle" }, names[layer])),
    svg("text", { class: "title", x: left + width / 2, y: top + height + 31, "text-anchor": "middle" }, title),
    hair, ...curves);
  drawing.addEventListener("pointermove", (event) => {
    const x = event.clientX - drawing.getBoundingClientRect().left;
    const layer = clamp(Math.round(((x - left - 12) / (width - 24)) * (names.length - 1)), 0, names.length - 1);
    fill(hair, { x1: across(layer), x2: across(layer), y1: top, y2: top + height }, []);
    showTip(event.clientX, event.clientY, profileTip(layer));
  });
  drawing.addEventListener("pointerleave", hideTip);
  page.ordinate.textContent = drawn.what.axis;
  chart.replaceChildren(drawing);
  drawLegend(step);
}

/** @param {number} chosen */
function drawLegend(chosen) {
  const runs = drawn.views.map((view) => {
    const step = view.steps[columnOf(view)];
    const own = step === chosen ? null : ` (step ${whole(step)})`;
    return html("span", {}, html("i", { style: `border-color: ${view.colour}` }), brief(view.name), own);
  });
  const theory = drawn.views.some((view) => view.theory);
  /** @param {string} kind */
  const shaded = (kind) => drawn.views.some((view) => view.bands.some((band) => band.kind === kind));
  const band = shaded("of-theory") ? ", band: 95 % of networks this wide" : "";
  page.legend.replaceChildren(...runs,
    theory ? html("span", {}, html("i", { class: "dashed" }), `theory at step 0${band}`) : "",
    shaded("of-seeds") ? html("span", {}, html("i", { class: "shaded" }), "other seeds at step 0") : "");
}

/**
 * The mark of a value without a place on the scale, at the scale's end: 0 below, infinity above, a cross for NaN.
 * @param {Special | null} special
 * @param {number} x
 * @param {number} top
 * @param {number} height
 * @param {string} colour
 */
function offScale(special, x, top, height, colour) {
  if (special === null) return null;
  const d = {
    missing: `M${x - 3} ${top + height - 9}l6 6m0 -6l-6 6`,
    zero: `M${x - 5} ${top + height - 9}h10l-5 8z`,
    infinite: `M${x - 5} ${top + 9}h10l-5 -8z`,
  }[special];
  const look = special === "missing" ? { stroke: colour, fill: "none" } : { fill: colour };
  return svg("path", { class: `off ${special}`, d, ...look }, svg("title", {}, SPECIALS.find(([name]) => name === special)?.[2]));
}
