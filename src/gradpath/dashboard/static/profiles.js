// @ts-check
// What the cells show of a job: its profile at the first or the last measured step, or why there is none.

import { ends } from "./ends.js";
import { last } from "./numbers.js";
import { relativeTo } from "./relative.js";
import { state } from "./state.js";

/** @typedef {import("./grouping.js").Job} Job */

/**
 * What is chosen of sweeps. `jobs` is null until the plugin has answered; `error` says why it has refused.
 * @type {{sweep: string, jobs: Job[] | null, error: string | null, rows: string, columns: string, end: boolean}}
 */
export const asked = { sweep: "", jobs: null, error: null, rows: "", columns: "", end: false };

/**
 * A job as it is drawn. `missing` says in a word why it is not: "" as long as it is loading.
 * @typedef {object} Profile
 * @property {Job} job
 * @property {string[]} layers (L,)
 * @property {number[] | null} values (L,)
 * @property {number[] | null} theory (L,)
 * @property {string} class
 * @property {number} ratio the first hidden layer's over the last's
 * @property {string} missing
 * @property {string | null} why more about what is missing
 */

/**
 * @param {Job} job
 * @returns {Profile}
 */
export function profileOf(job) {
  const known = job.run === null ? null : ends.get(job.run);
  const record = known?.record;
  if (!record?.values) {
    const missing = job.run === null ? ended(job) : !known ? "" : known.error?.startsWith("no ") ? known.error : "not readable";
    const why = known?.error && missing !== known.error ? `The record ${known.error}` : null;
    return { job, layers: [], values: null, theory: null, class: "", ratio: NaN, missing, why };
  }
  const values = asked.end ? last(record.values) : record.values[0];
  const judged = record.verdict && asked.end ? record.verdict.end : record.verdict;
  /** @param {number[]} row */
  const against = (row) => (state.relative ? relativeTo(row) : row);
  return {
    job, layers: record.layers, values: against(values), theory: record.theory && against(record.theory),
    class: judged ? judged.class ?? "undecided" : "no verdict", ratio: judged?.ratio ?? NaN, missing: "", why: null,
  };
}

/**
 * What became of a job without a record.
 * @param {Job} job
 */
const ended = ({ status }) => (status && status !== "ok" ? status : "no record");
