// @ts-check
// What the page knows and what is chosen on it. `state` changes, then `draw` (for the slider, `drawSteps`) shows it.

import { RUN_COLOURS } from "./colours.js";

/**
 * Ratios are NaN where there is none; `undecided` says why there is no class.
 * @typedef {{class: string | null, ratio: number, rate_per_layer: number, undecided: string | null}} Judgement
 */
/** @typedef {Record<"kind" | "cause" | "layer" | "message" | "remedy", string | null>} Finding */
/** @typedef {Judgement & {end: Judgement | null, findings: Finding[], deviation: string | null}} Verdict */

/**
 * One quantity of one run: T steps of L layers.
 * @typedef {object} FlowRecord
 * @property {string[]} layers (L,)
 * @property {number[]} steps (T,)
 * @property {number} recorded the number of steps in the file, of which T are sent
 * @property {string} quantity the one whose values these are
 * @property {string[]} quantities
 * @property {number[][] | null} values (T, L)
 * @property {number[] | null} theory (L,)
 * @property {number[][] | null} theory_band (2, L)
 * @property {number[][] | null} seeds_band (2, L)
 * @property {number[] | null} way the columns along which the class was read, and the last one; null where all are
 * @property {Verdict | null} verdict
 * @property {string | null} verdict_refused why a recorded verdict is not sent
 */

/** @typedef {{name: string, version: string}} Run */
/** @typedef {"runs" | "sweep"} Shown what the tab shows: chosen runs, or all runs of a sweep */

/**
 * A selected run. `slot` is the index of its colour; `key` tells which version and quantity is loaded.
 * @typedef {{slot: number, key: string | null, record: FlowRecord | null, error: string | null}} Entry
 */

export const MOST_RUNS = RUN_COLOURS.length;

/**
 * `runs` is null until the first answer, and lists the newest first, as `sweeps` does; all their names begin with `shared`
 * folders. A `step` of null follows the newest step.
 * @type {{
 *   shown: Shown, sweeps: Run[], runs: Run[] | null, shared: number, folders: string[], selected: Map<string, Entry>,
 *   quantity: string, relative: boolean, branches: boolean, step: number | null, filter: string,
 * }}
 */
export const state = {
  shown: "runs",
  sweeps: [],
  runs: null,
  shared: 0,
  folders: [],
  selected: new Map(),
  quantity: "delta",
  relative: true,
  branches: false,
  step: null,
  filter: "",
};

/**
 * Selects a run and gives it the first free colour.
 * @param {string} name
 */
export function select(name) {
  const taken = new Set([...state.selected.values()].map((entry) => entry.slot));
  const slot = RUN_COLOURS.findIndex((_, index) => !taken.has(index));
  state.selected.set(name, { slot, key: null, record: null, error: null });
}

/**
 * What is loaded of a run, if it is the chosen quantity: another one stays until the plugin has time for this one.
 * @param {Entry} entry
 */
export const loaded = ({ record }) => (record?.quantity === state.quantity ? record : null);

/**
 * How many folders all runs' names begin with.
 * @param {Run[]} runs
 */
export function sharedFolders(runs) {
  const folders = runs.map((run) => run.name.split("/").slice(0, -1));
  if (folders.length < 2) return 0;
  const different = folders[0].findIndex((folder, depth) => folders.some((other) => other[depth] !== folder));
  return different < 0 ? folders[0].length : different;
}

/**
 * A run's name without the folders that all runs share.
 * @param {string} name
 */
export const brief = (name) => name.split("/").slice(state.shared).join("/");
