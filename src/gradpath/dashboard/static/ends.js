// @ts-check
// The first and the last measured row of many runs, asked for a few at a time.

import { askRecord, Busy, Refusal } from "./fetching.js";
import { state } from "./state.js";

/** @typedef {import("./state.js").FlowRecord} FlowRecord */

/** What is known of a run: its record at two steps, or why there is none. @typedef {{version: string, record: FlowRecord | null, error: string | null}} Ends */

const AT_ONCE = 4;
const AGAIN_MS = 500;
const QUANTITY = "delta";

/** @type {Map<string, Ends>} */
export const ends = new Map();

/** @type {Set<string>} */
const waiting = new Set();
/** @type {Set<string>} */
const loading = new Set();
const news = { come: () => {} };

/** @param {() => void} action is called whenever something has come */
export const whenCome = (action) => { news.come = action; };

/**
 * Asks for those of some runs that are not up to date, and no longer for any other.
 * @param {string[]} names
 */
export function want(names) {
  waiting.clear();
  for (const name of names) waiting.add(name);
  work();
}

function work() {
  const versions = new Map((state.runs ?? []).map(({ name, version }) => [name, version]));
  for (const name of waiting) {
    if (loading.size >= AT_ONCE) return;
    waiting.delete(name);
    const version = versions.get(name);
    if (version === undefined || ends.get(name)?.version === version || loading.has(name)) continue;
    loading.add(name);
    load(name, version).then((again) => {
      loading.delete(name);
      if (again) setTimeout(() => { waiting.add(name); work(); }, AGAIN_MS);
      else news.come();
      work();
    });
  }
}

/**
 * @param {string} name
 * @param {string} version
 * @returns {Promise<boolean>} whether to ask again soon. A server that does not answer is asked at the next look for news.
 */
async function load(name, version) {
  try {
    const record = await askRecord(name, QUANTITY, 2);
    const error = !record.steps.length ? "no step yet" : !record.values ? "no |δ| recorded" : null;
    ends.set(name, { version, record: error ? null : record, error });
  } catch (error) {
    if (error instanceof Refusal) ends.set(name, { version, record: null, error: error.message });
    return error instanceof Busy;
  }
  return false;
}
