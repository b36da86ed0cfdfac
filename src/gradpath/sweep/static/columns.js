// @ts-check
// The numbers of a run, by name.

import { abridged } from "../../dashboard/static/names.js";
import { decimal, whole } from "../../dashboard/static/numbers.js";
import { spanDecades } from "../../dashboard/static/scales.js";
import { choice, choicesOf, isDrawn, isNumeric, report } from "./data.js";

/** @typedef {import("../../dashboard/static/scales.js").ScaleKind} ScaleKind */
/** @typedef {import("./data.js").Run} Run */
/** A number of each run, at most `most`. Words have places, and ticks with their names.
 * @typedef {{name: string, title: string, kind: ScaleKind, value: (run: Run) => number, ticks?: [at: number, label: string][],
 *   said?: (run: Run) => string, most?: number, whole?: boolean}} Column */

const FIRST = ["test/accuracy", "test/loss", "val/accuracy", "val/loss", "train/accuracy", "train/loss"];
const LATER = ["seconds", "parameters", "best_epoch", "last_epoch"];
/** Characters of a word along an axis. */
export const TICK = 14;
/** @type {Record<string, string>} */
const TITLES = { best_epoch: "best epoch", last_epoch: "last epoch" };

/** @type {Column[]} */
const JUDGED = [
  { name: "ratio", title: "gradient first / last", kind: "ratio", value: (run) => run.verdict?.ratio ?? NaN },
  { name: "ratio_end", title: "gradient first / last at the end", kind: "ratio", value: (run) => run.verdict?.end?.ratio ?? NaN },
  { name: "rate", title: "gradient per layer", kind: "ratio", value: (run) => run.verdict?.rate_per_layer ?? NaN },
];

/**
 * @param {string} name
 * @param {Column["value"]} value
 * @returns {Column}
 */
function column(name, value) {
  const log = !name.includes("accuracy") && spanDecades(report.runs.map(value));
  const whole = !name.includes("/") && report.runs.every((run) => !Number.isFinite(value(run)) || Number.isInteger(value(run)));
  const most = name.includes("accuracy") ? 1 : Infinity;
  return { name, title: TITLES[name] ?? name, kind: log ? "log" : name === "seconds" ? "linear" : "interval", value, most, whole };
}

/** @param {string} name */
const sent = (name) => column(name, (run) => run.values.get(name) ?? NaN);

/** @param {Column} candidate */
const known = ({ value }) => report.runs.some((run) => !Number.isNaN(value(run)));

const others = report.columns.filter((name) => !FIRST.includes(name) && !LATER.includes(name));

/**
 * A number as it is read: counts in full, all else in a few digits.
 * @param {number} value
 */
export const figure = (value) => (Number.isInteger(value) && Math.abs(value) < 1e15 ? whole(value) : decimal(value));

/** What was measured of a run. */
export const MEASURED = [...FIRST.map(sent), ...JUDGED, ...others.map(sent), ...LATER.map(sent)].filter(known);

/**
 * A key whose values are numbers. A search says which of them it drew from a logarithmic scale.
 * @param {string} key
 * @returns {Column}
 */
function numeric(key) {
  const found = column(key, (run) => Number(choice(run, key)));
  return report.search ? { ...found, kind: report.search.log.includes(key) ? "log" : "interval" } : found;
}

/** The keys whose values are numbers. */
const chosen = report.keys.filter(isNumeric).map(numeric)
  .filter(({ name, value }) => isDrawn(name) || report.runs.every((run) => Number.isFinite(value(run))));

/**
 * A key as an axis: of its numbers, or of the places of its words.
 * @param {string} key
 * @returns {Column}
 */
export function keyColumn(key) {
  const values = choicesOf(key);
  const short = abridged(values, TICK);
  const places = values.map((value, at) => /** @type {[number, string]} */ ([at, short.get(value) ?? value]));
  return chosen.find(({ name }) => name === key) ?? {
    name: key, title: key, kind: "interval", value: (run) => values.indexOf(choice(run, key)), ticks: places, said: (run) => choice(run, key),
  };
}

/** All numbers of a run. */
export const NUMERIC = [...chosen, ...MEASURED];

/**
 * The column of a name, or the first.
 * @param {string} name
 */
export const columnOf = (name) => NUMERIC.find((candidate) => candidate.name === name) ?? NUMERIC[0];
