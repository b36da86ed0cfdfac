// @ts-check
// The numbers of a run, by name.

import { decimal, whole } from "../../dashboard/static/numbers.js";
import { spanDecades } from "../../dashboard/static/scales.js";
import { choice, report } from "./data.js";

/** @typedef {import("../../dashboard/static/scales.js").ScaleKind} ScaleKind */
/** @typedef {import("./data.js").Run} Run */
/** @typedef {{name: string, title: string, kind: ScaleKind, value: (run: Run) => number}} Column */

const FIRST = ["test/accuracy", "test/loss", "val/accuracy", "val/loss", "train/accuracy", "train/loss"];
const LATER = ["seconds", "parameters", "best_epoch", "last_epoch"];
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
  return { name, title: TITLES[name] ?? name, kind: log ? "log" : name === "seconds" ? "linear" : "interval", value };
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

/** The keys whose values are numbers. */
const chosen = report.keys
  .map((key) => column(key, (run) => Number(choice(run, key))))
  .filter(({ value }) => report.runs.every((run) => Number.isFinite(value(run))));

/** All numbers of a run. */
export const NUMERIC = [...chosen, ...MEASURED];

/**
 * The column of a name, or the first.
 * @param {string} name
 */
export const columnOf = (name) => NUMERIC.find((candidate) => candidate.name === name) ?? NUMERIC[0];
