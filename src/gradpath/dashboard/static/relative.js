// @ts-check
// Values over depth, divided by that of the last hidden layer.

/**
 * What is 0, infinite or NaN stays so. The rest has no value beside a reference that is.
 * @param {number[]} row of all layers, the output last
 */
export function relativeTo(row) {
  const reference = row[Math.max(0, row.length - 2)];
  const usable = reference > 0 && reference < Infinity;
  return row.map((value) => (value === 0 || !Number.isFinite(value) ? value : usable ? value / reference : NaN));
}
