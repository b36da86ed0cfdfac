// @ts-check
// A scale places values on a line (`place`), names what cannot be placed (`special`), and colours the rest.

import { DIVERGING, SEQUENTIAL } from "./colours.js";
import { decimal, last, power, ticks } from "./numbers.js";

/** @typedef {"ratio" | "log" | "signed" | "fraction" | "correlation" | "linear" | "interval"} ScaleKind */
/** @typedef {import("./colours.js").Special} Special */

/**
 * @typedef {object} Scale
 * @property {ScaleKind} kind
 * @property {boolean} log whether `low`, `high` and `place` are decimal logarithms
 * @property {number} low
 * @property {number} high
 * @property {(value: number) => Special | null} special
 * @property {(value: number) => number} place
 * @property {readonly string[]} colours from `low` to `high`
 */

const FLOOR = 1e-45; // Below it, the logarithm is drawn as if the value were this.

/**
 * A scale that holds every value.
 * @param {ScaleKind} kind
 * @param {Iterable<number>} values
 * @param {number} [most] no value can be above it: the scale is not either
 * @returns {Scale}
 */
export function makeScale(kind, values, most = Infinity) {
  const log = kind === "ratio" || kind === "log";
  /** @type {Scale["special"]} */
  const special = (value) => {
    if (Number.isNaN(value) || (log && value < 0)) return "missing";
    if (!Number.isFinite(value)) return "infinite";
    return log && value === 0 ? "zero" : null;
  };
  /** @type {Scale["place"]} */
  const place = (value) => (log ? Math.log10(Math.max(value, FLOOR)) : value);
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (special(value) !== null) continue;
    const placed = place(value);
    if (placed < low) low = placed;
    if (placed > high) high = placed;
  }
  if (low > high) [low, high] = log ? [-1, 1] : [0, 1];
  if (kind === "fraction") [low, high] = [0, 1];
  if (kind === "correlation") [low, high] = [-1, 1];
  if (kind === "linear" && low >= 0) low = 0;
  // No scale is shorter than a decade: noise is not a story. An interval does not begin at 0, and is not shorter than a percent.
  const least = log ? 1 : kind === "interval" ? 0.01 * Math.max(Math.abs(low), Math.abs(high)) || 1 : 1e-9;
  const negative = low < 0;
  if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
  // What is widened shows no impossible values: none below 0 where there are none, and none above the most.
  if (kind === "interval" && high > most) [low, high] = [low + most - high, most];
  if (kind === "interval" && low < 0 && !negative) [low, high] = [0, high - low];
  return { kind, log, low, high, special, place, colours: SEQUENTIAL };
}

/**
 * Whether values are for a logarithm: they are nowhere negative, and span decades.
 * @param {number[]} values
 */
export function spanDecades(values) {
  const positive = values.filter((value) => value > 0 && value < Infinity).sort((a, b) => a - b);
  return positive.length > 0 && !values.some((value) => value < 0) && last(positive) > 100 * positive[0];
}

/**
 * The scale for colours, where 1 (or, on a linear scale, 0) has to be the middle.
 * @param {Scale} scale
 * @returns {Scale}
 */
export function centred(scale) {
  if (!["ratio", "signed", "correlation"].includes(scale.kind)) return scale;
  const reach = Math.max(-scale.low, scale.high, scale.log ? 1 : 0);
  return { ...scale, low: -reach, high: reach, colours: DIVERGING };
}

/**
 * About `count` places on a scale, and what to write there.
 * @param {Scale} scale
 * @param {number} count
 * @param {boolean} [whole] whether there are whole numbers only
 * @returns {[at: number, label: string][]}
 */
export function scaleTicks(scale, count, whole = false) {
  const { low, high } = scale;
  if (!scale.log) {
    const places = ticks(low, high, count, whole ? 1 : 0).map((at) => Number(at.toPrecision(6)));
    const labels = places.map(decimal);
    // Places that are closer than a label's digits have more digits.
    const apart = new Set(labels).size === labels.length;
    return places.map((at, index) => [at, apart ? labels[index] : String(at).replace("-", "−")]);
  }
  const decades = [count, 2 * count].map((most) => ticks(low, high, most, 1)).find((found) => found.length > 2);
  if (decades) return decades.map((at) => [at, Math.abs(at) < 3 ? decimal(10 ** at) : power(at)]);
  const between = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, index) => Math.floor(low) + index);
  return between
    .flatMap((decade) => [1, 2, 5].map((factor) => factor * 10 ** decade))
    .filter((value) => Math.log10(value) >= low && Math.log10(value) <= high)
    .map((value) => [Math.log10(value), decimal(value)]);
}
