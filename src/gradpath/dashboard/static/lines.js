// @ts-check
// Curves and bands, and the marks of what has no place on their scale.

import { SPECIALS } from "./colours.js";
import { svg } from "./elements.js";

/** @typedef {import("./axes.js").Plane} Plane */
/** @typedef {import("./colours.js").Special} Special */
/** @typedef {(index: number) => number} Across where the value of an index is */

/**
 * The path of a curve. It has a gap where a value has no place on the scale.
 * @param {number[]} values
 * @param {Plane} plane
 * @param {Across} across
 */
export const curve = (values, { scale, up }, across) => values.map((value, index) => {
  if (scale.special(value) !== null) return "";
  const joined = index > 0 && scale.special(values[index - 1]) === null;
  return `${joined ? "L" : "M"}${across(index).toFixed(1)} ${up(value).toFixed(1)}`;
}).join("");

/**
 * The path around a band. It is drawn where both edges have a place on the scale.
 * @param {number[][]} edges
 * @param {Plane} plane
 * @param {Across} across
 */
export function area([low, high], { scale, up }, across) {
  const placed = [...low.keys()].filter((index) => [low, high].every((row) => scale.special(row[index]) === null));
  /** @type {(row: number[], order: number[]) => string} */
  const points = (row, order) => order.map((index) => `${across(index).toFixed(1)} ${up(row[index]).toFixed(1)}`).join("L");
  return placed.length > 1 ? `M${points(low, placed)}L${points(high, placed.toReversed())}Z` : "";
}

/**
 * The mark of a value without a place on the scale, at the scale's end: 0 below, infinity above, a cross for NaN.
 * @param {Special | null} special
 * @param {number} x
 * @param {Plane} plane
 * @param {string} colour
 */
export function offScale(special, x, { top, height }, colour) {
  if (special === null) return null;
  const d = {
    missing: `M${x - 3} ${top + height - 9}l6 6m0 -6l-6 6`,
    zero: `M${x - 5} ${top + height - 9}h10l-5 8z`,
    infinite: `M${x - 5} ${top + 9}h10l-5 -8z`,
  }[special];
  const look = special === "missing" ? { stroke: colour, fill: "none" } : { fill: colour };
  return svg("path", { class: `off ${special}`, d, ...look }, svg("title", {}, SPECIALS.find(([name]) => name === special)?.[2]));
}
