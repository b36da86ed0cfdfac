// @ts-check
// The jobs of a sweep in rows and columns, by what varies between them.

import { grouped } from "./grouped.js";

/** @typedef {{name: string, run: string | null, varied: Record<string, string>, status: string | null}} Job */

/**
 * The jobs that fall into one cell, and the values that they share.
 * @typedef {{row: string, column: string, jobs: Job[]}} Group
 */

/**
 * `heads` stand above the columns. Without them, each cell is headed by its own value. `left` says what is not shown.
 * @typedef {{heads: string[] | null, lines: {head: string, groups: Group[]}[], left: string[]}} Layout
 */

const SEED = "seed";
const READABLE = 8; // columns of cells beside each other
const MANY = 30; // values, of which few other jobs share one
const MOST_ROWS = 60;

/** @type {(job: Job, key: string) => string} */
const worth = ({ varied }, key) => (Object.hasOwn(varied, key) ? varied[key] : key && "unset");

/**
 * The values of a key: numbers by size, words in the order of the jobs. Without a key, there is one value, "".
 * @param {Job[]} jobs
 * @param {string} key
 */
export function valuesOf(jobs, key) {
  const values = [...new Set(jobs.map((job) => worth(job, key)))];
  const numbers = values.every((value) => value !== "" && Number.isFinite(Number(value)));
  return numbers ? values.sort((a, b) => Number(a) - Number(b)) : values;
}

/**
 * The keys in which jobs differ, `seed` last.
 * @param {Job[]} jobs
 */
export function differing(jobs) {
  const keys = [...new Set(jobs.flatMap(({ varied }) => Object.keys(varied)))].filter((key) => valuesOf(jobs, key).length > 1);
  return [...keys.filter((key) => key !== SEED), ...keys.filter((key) => key === SEED)];
}

/**
 * The keys to begin with: the two with the most values, but not the seed, and none that hardly two jobs share.
 * @param {Job[]} jobs
 * @returns {{rows: string, columns: string}}
 */
export function firstChoice(jobs) {
  const counted = differing(jobs).filter((key) => key !== SEED)
    .map((key) => ({ key, count: valuesOf(jobs, key).length })).sort((a, b) => b.count - a.count);
  const [most, second] = counted.filter(({ count }) => count <= MANY);
  if (!most) return { rows: "", columns: counted[0]?.key ?? "" };
  if (!second) return { rows: "", columns: most.key };
  return most.count <= READABLE ? { rows: second.key, columns: most.key } : { rows: most.key, columns: second.key };
}

/**
 * @param {Job[]} jobs
 * @param {string} rows a key, or ""
 * @param {string} columns a key, or ""
 * @param {number} fit how many cells are beside each other
 * @returns {Layout}
 */
export function arrange(jobs, rows, columns, fit) {
  /** @type {(row: string, column: string) => string} */
  const place = (row, column) => JSON.stringify([row, column]);
  const byPlace = grouped(jobs, (job) => place(worth(job, rows), worth(job, columns)));
  /** @type {(row: string, column: string) => Group} */
  const group = (row, column) => ({ row, column, jobs: byPlace.get(place(row, column)) ?? [] });
  const across = valuesOf(jobs, columns);
  if (!rows && across.length > fit) {
    const chunks = Math.ceil(across.length / fit);
    const lines = Array.from({ length: Math.min(chunks, MOST_ROWS) }, (_, index) =>
      ({ head: "", groups: across.slice(index * fit, (index + 1) * fit).map((column) => group("", column)) }));
    return { heads: null, lines, left: cut(columns, across, MOST_ROWS * fit) };
  }
  const down = valuesOf(jobs, rows);
  const heads = across.slice(0, fit);
  return {
    heads, lines: down.slice(0, MOST_ROWS).map((head) => ({ head, groups: heads.map((column) => group(head, column)) })),
    left: [...cut(columns, across, fit), ...cut(rows, down, MOST_ROWS)],
  };
}

/**
 * What to say where there is no room for all values of a key.
 * @param {string} key
 * @param {string[]} values
 * @param {number} most
 */
const cut = (key, values, most) =>
  (values.length > most ? [`Not shown: ${values.length - most} of the ${values.length} values of ${key}.`] : []);
