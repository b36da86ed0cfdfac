// @ts-check
// What the page shows: the JSON that stands in it.

import { number } from "../../dashboard/static/numbers.js";

/** @typedef {import("../../dashboard/static/numbers.js").Sent} Sent */
/** @typedef {import("../../dashboard/static/state.js").Finding} Finding */
/** @typedef {import("../../dashboard/static/state.js").Verdict} Verdict */
/** @typedef {"ok" | "diverged" | "pruned" | "failed" | "ended from outside" | "missing"} Status */
/** @typedef {[place: number, name: string]} Layer its place counts from 1, at the input; of a deep network not all are sent */
/** @typedef {"profile" | "theory" | "profile_end"} Part */
/** @typedef {"val/loss" | "train/loss_epoch"} Loss */
/** @typedef {{epochs: number[], values: number[]}} Curve */

/**
 * One job.
 * @typedef {object} Run
 * @property {number} number
 * @property {string} job the name of its folder
 * @property {Status} status
 * @property {string | null} error
 * @property {string | null} traceback
 * @property {(string | null)[]} choices one per key
 * @property {string[]} overrides
 * @property {Map<string, number>} values by column
 * @property {Verdict | null} verdict
 * @property {Map<Loss, Curve>} curves
 * @property {Layer[]} layers of which there is a profile
 * @property {Record<Part, number[] | null>} parts relative to the last hidden layer
 * @property {string | null} version of the code that made it, where there are several
 * @property {boolean} front whether no other trial of a search of several objectives beats it
 */

/** @type {Status[]} */
export const LOST = ["diverged", "pruned", "failed", "ended from outside", "missing"];

const found = document.getElementById("content");
const sent = JSON.parse(found?.textContent ?? "{}");

/** @param {any} judged */
const judgement = (judged) => ({ ...judged, ratio: number(judged.ratio), rate_per_layer: number(judged.rate_per_layer) });

/** @param {Sent[] | null | undefined} row */
const numbers = (row) => row?.map(number) ?? null;

/** @returns {Verdict | null} */
const verdict = (/** @type {any} */ given) => given && {
  ...judgement(given), end: given.end && judgement(given.end),
  findings: given.findings.map((/** @type {number} */ place) => sent.findings[place]),
};

/**
 * @param {any} run
 * @param {number} place
 * @returns {Run}
 */
const decoded = (run, place) => ({
  ...run,
  version: sent.versions?.[place] ?? null,
  front: sent.front.includes(place),
  values: new Map(sent.columns.map((/** @type {string} */ name, /** @type {number} */ at) => [name, number(run.values[at])])),
  verdict: verdict(run.verdict),
  curves: new Map(Object.entries(run.curves).map(([name, [grid, values]]) =>
    [name, { epochs: sent.grids[grid], values: values.map(number) }])),
  layers: run.layers === null ? [] : sent.layers[run.layers],
  parts: { profile: numbers(run.profile), theory: numbers(run.theory), profile_end: numbers(run.profile_end) },
});

/**
 * @type {{
 *   kind: "sweep" | "run", name: string, commands: string[], common: string[], notes: string[], keys: string[], columns: string[],
 *   front: number[], versions: (string | null)[] | null, environment: Record<string, (string | number | boolean)[]>, runs: Run[],
 *   search: {objectives: {column: string, direction: "minimize" | "maximize"}[], log: string[], drawn: string[]} | null,
 * }}
 */
export const report = { ...sent, runs: sent.runs.map(decoded) };

/** What stands for the value of a key that a run was not given, as in rows.py. */
export const UNSET = "unset";

/**
 * The value of a key, as typed.
 * @param {Run} run
 * @param {string} key
 */
export const choice = (run, key) => run.choices[report.keys.indexOf(key)] ?? UNSET;

/** @param {string} value */
const isNumber = (value) => value.trim() !== "" && Number.isFinite(Number(value));

/** @param {string} key */
const given = (key) => [...new Set(report.runs.map((run) => choice(run, key)))].filter((value) => value !== UNSET);

/**
 * Whether all values of a key are numbers, where it has a value.
 * @param {string} key
 */
export const isNumeric = (key) => given(key).every(isNumber);

/**
 * The values of a key in order: numbers by size, words as they were typed, "unset" last.
 * @param {string} key
 */
export function choicesOf(key) {
  const values = given(key);
  if (values.every(isNumber)) values.sort((a, b) => Number(a) - Number(b));
  return report.runs.some((run) => choice(run, key) === UNSET) ? [...values, UNSET] : values;
}

/** So many values of a key make rows, columns or boxes. */
const FEW = 12;

/**
 * Whether nearly each trial of a search has a number of its own for a key.
 * @param {string} key
 */
export function isDrawn(key) {
  if (!report.search || !isNumeric(key)) return false;
  const { length } = given(key);
  return length > FEW || (report.search.drawn.includes(key) && length > report.runs.length / 2);
}

/** The keys of which several runs share a value. */
export const SHARED = report.keys.filter((key) => !isDrawn(key));
