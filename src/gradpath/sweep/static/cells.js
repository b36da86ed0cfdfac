// @ts-check
// The cells of the matrix: runs that share the values of two keys, or intervals of them.

import { grouped } from "../../dashboard/static/grouped.js";
import { share, sharesOf } from "./shares.js";
import { summary } from "./statistics.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./data.js").Run} Run */
/** @typedef {import("./statistics.js").Summary} Summary */
/** @typedef {{row: string, column: string, runs: Run[], found: Summary}} Cell */

/**
 * The values of an axis that some runs have. No key is an axis of one place.
 * @param {string} key
 * @param {Run[]} runs
 */
export function axis(key, runs) {
  if (!key) return [""];
  const present = new Set(runs.map((run) => share(run, key)));
  return sharesOf(key).filter((value) => present.has(value));
}

/**
 * The cells, row by row.
 * @param {Run[]} runs
 * @param {string} rows a key, or "" for none
 * @param {string} columns a key, or "" for none
 * @param {Column} metric
 * @returns {Cell[][]}
 */
export function cells(runs, rows, columns, metric) {
  /** @param {string} key */
  const placeOf = (key) => (/** @type {Run} */ run) => (key ? share(run, key) : "");
  const byRow = grouped(runs, placeOf(rows));
  return axis(rows, runs).map((row) => {
    const inRow = grouped(byRow.get(row) ?? [], placeOf(columns));
    return axis(columns, runs).map((column) => {
      const inside = inRow.get(column) ?? [];
      return { row, column, runs: inside, found: summary(inside.map(metric.value), metric.kind === "ratio") };
    });
  });
}
