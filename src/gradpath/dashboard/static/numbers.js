// @ts-check
// Numbers as people read them, and as they are sent.

/** @typedef {number | string | null} Sent a number, "inf" or "-inf", or null for NaN: JSON has no such numbers */

/** @param {Sent | undefined} value */
export const number = (value) => (value == null ? NaN : Number(String(value).replace("inf", "Infinity")));

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/**
 * @template T
 * @param {readonly T[]} items at least one
 * @returns {T}
 */
export const last = (items) => items[items.length - 1];

/**
 * A power of ten, such as 10⁻³.
 * @param {number} exponent
 */
export const power = (exponent) =>
  `10${String(exponent).replace(/./g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)]))}`;

/**
 * A number with two or three digits; NaN reads "not measured".
 * @param {number} value
 */
export function decimal(value) {
  if (Number.isNaN(value)) return "not measured";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 0.001 && size < 100000) return String(Number(value.toPrecision(3))).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(1).split("e");
  return `${mantissa.replace("-", "−")} × ${power(Number(exponent))}`;
}

/**
 * A whole number with its thousands apart.
 * @param {number} value
 */
export const whole = (value) => value.toLocaleString("en");

/**
 * Round numbers from `low` to `high`, about `count` of them.
 * @param {number} low
 * @param {number} high
 * @param {number} count
 * @param {number} [smallest] the least distance between two of them
 */
export function ticks(low, high, count, smallest = 0) {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * unit >= rough * 0.999) ?? NaN;
  const stride = Math.max(smallest, unit * factor);
  const first = Math.ceil(low / stride - 1e-9);
  return Array.from({ length: Math.floor(high / stride + 1e-9) - first + 1 }, (_, index) => (first + index) * stride);
}

/**
 * Which of `count` names to write where each has `room` pixels: the first, the last, and round numbers between.
 * @param {number} count
 * @param {number} room
 * @param {number} needed the pixels that a name takes
 */
export function thinned(count, room, needed) {
  const stride = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((step) => step * room >= needed) ?? count;
  const apart = Math.ceil(needed / room);
  return [...Array(count).keys()].filter((index) =>
    index === 0 || index === count - 1 || ((index + 1) % stride === 0 && index >= apart && count - 1 - index >= apart));
}

/**
 * A name cut to some characters.
 * @param {string} name
 * @param {number} [most]
 */
export const shortened = (name, most = 14) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);

/**
 * The end of a layer's name, from a dot on if there is one near: names of modules begin alike.
 * @param {string} name
 * @param {number} [most]
 */
export const ending = (name, most = 16) =>
  name.length > most ? `…${name.slice(1 - most).replace(/^[^.]{0,4}\./, "")}` : name;
