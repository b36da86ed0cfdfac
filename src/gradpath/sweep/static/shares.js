// @ts-check
// By what runs are put together: the values of a key, or intervals of them where there are too many numbers.

import { decimal } from "../../dashboard/static/numbers.js";
import { makeScale, spanDecades } from "../../dashboard/static/scales.js";
import { choice, choicesOf, isNumeric, UNSET } from "./data.js";

/** @typedef {import("./data.js").Run} Run */

const MANY = 40;
const INTERVALS = 12;

/** Value -> its interval, of each key that has some. @type {Map<string, Map<string, string> | null>} */
const known = new Map();

/** @param {string} key */
function intervals(key) {
  const found = known.get(key);
  if (found !== undefined) return found;
  const values = choicesOf(key).filter((value) => value !== UNSET);
  const made = values.length > MANY && isNumeric(key) ? divided(values) : null;
  known.set(key, made);
  return made;
}

/**
 * Intervals of one width, on a logarithmic scale if the values span decades. They are named by their lowest and highest values.
 * @param {string[]} values in order
 * @returns {Map<string, string>}
 */
function divided(values) {
  const numbers = values.map(Number);
  const scale = makeScale(spanDecades(numbers) && numbers.every((value) => value > 0) ? "log" : "interval", numbers);
  /** @type {string[][]} */
  const parts = Array.from({ length: INTERVALS }, () => []);
  for (const value of values) {
    const at = (scale.place(Number(value)) - scale.low) / (scale.high - scale.low);
    parts[Math.min(INTERVALS - 1, Math.floor(at * INTERVALS))].push(value);
  }
  /** @param {(value: number) => string} say */
  const names = (say) => parts.filter((part) => part.length)
    .map((part) => [...new Set([part[0], part[part.length - 1]].map((value) => say(Number(value))))].join(" to "));
  const short = names(decimal);
  const all = new Set(short).size === short.length ? short : names(String);
  return new Map(parts.filter((part) => part.length).flatMap((part, at) => part.map((value) => [value, all[at]])));
}

/** @param {string} key */
export const isDivided = (key) => intervals(key) !== null;

/**
 * The value of a key, or the interval that holds it.
 * @param {Run} run
 * @param {string} key
 */
export const share = (run, key) => intervals(key)?.get(choice(run, key)) ?? choice(run, key);

/**
 * All shares of a key, in the order of their values.
 * @param {string} key
 */
export const sharesOf = (key) => [...new Set(choicesOf(key).map((value) => intervals(key)?.get(value) ?? value))];
