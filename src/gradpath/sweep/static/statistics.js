// @ts-check
// What some values have in common.

/**
 * `n` counts the finite values, and the rest is about these. `mean` and `sd` are of the decimal logarithms if `geometric`:
 * the mean is then taken back to a value, and `sd` stays in decades. `sd` is NaN of fewer than two values.
 * @typedef {{n: number, mean: number, sd: number, low: number, high: number, geometric: boolean}} Summary
 */

/**
 * @param {number[]} values
 * @param {boolean} geometric
 * @returns {Summary}
 */
export function summary(values, geometric) {
  const usable = values.filter((value) => Number.isFinite(value) && (!geometric || value > 0));
  const placed = geometric ? usable.map(Math.log10) : usable;
  const n = placed.length;
  const mean = placed.reduce((sum, value) => sum + value, 0) / n;
  const sd = n > 1 ? Math.sqrt(placed.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1)) : NaN;
  return { n, mean: geometric ? 10 ** mean : mean, sd, low: Math.min(...usable), high: Math.max(...usable), geometric };
}

/**
 * The summary of the values at each place, and where no value is usable one that is not: 0, infinite or NaN.
 * @param {number[][]} rows
 * @param {boolean} geometric
 */
export const pointwise = (rows, geometric) => (rows[0] ?? []).map((_, at) => {
  const values = rows.map((row) => row[at]);
  const found = summary(values, geometric);
  if (found.n) return found;
  const special = values.find((value) => !Number.isNaN(value)) ?? NaN;
  return { ...found, mean: special, low: special, high: special };
});
