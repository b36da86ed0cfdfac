// @ts-check
// What the plugin's routes answer, decoded.

import { number } from "./numbers.js";
import { QUANTITIES } from "./quantities.js";
import { state } from "./state.js";

/** @typedef {import("./state.js").FlowRecord} FlowRecord */
/** @typedef {import("./state.js").Judgement} Judgement */
/** @typedef {import("./state.js").Run} Run */
/** @typedef {import("./numbers.js").Sent} Sent */

/** The plugin's answer is an error, and says why. */
class Refusal extends Error {}

/** The plugin is at work on other records. The next look for news asks again. */
class Busy extends Error {}

const BUSY = 503;

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
async function ask(path) {
  const answer = await fetch(new URL(path, import.meta.url));
  const content = await answer.json();
  if (answer.status === BUSY) throw new Busy(content.error);
  if (!answer.ok) throw new Refusal(content.error);
  return content;
}

/** @returns {Promise<{runs: Run[], folders: string[]}>} */
export const askRuns = () => ask("runs");

/** @param {Sent[] | null} row */
const line = (row) => row?.map(number) ?? null;

/** @param {Sent[][] | null} rows */
const matrix = (rows) => rows?.map((row) => row.map(number)) ?? null;

/**
 * @template {{ratio: Sent, rate_per_layer: Sent}} J
 * @param {J} judged
 */
const judgement = (judged) => ({ ...judged, ratio: number(judged.ratio), rate_per_layer: number(judged.rate_per_layer) });

/**
 * @param {string} run
 * @param {string} quantity
 * @returns {Promise<FlowRecord>}
 */
async function askRecord(run, quantity) {
  const sent = await ask(`record?${new URLSearchParams({ run, quantity })}`);
  const { verdict } = sent;
  return {
    ...sent,
    values: matrix(sent.values),
    theory: line(sent.theory),
    theory_band: matrix(sent.theory_band),
    seeds_band: matrix(sent.seeds_band),
    verdict: verdict && { ...judgement(verdict), end: verdict.end && judgement(verdict.end) },
  };
}

/**
 * Loads a run if it is selected and not up to date.
 * @param {Run} run
 * @returns {Promise<boolean>} whether something was loaded
 */
async function loadRun({ name, version }) {
  const entry = state.selected.get(name);
  const { quantity } = state;
  const key = `${version} ${quantity}`;
  if (!entry || entry.key === key) return false;
  try {
    const record = await askRecord(name, quantity);
    if (quantity === state.quantity) Object.assign(entry, { key, record, error: null });
  } catch (error) {
    if (error instanceof Busy) return false;
    if (!(error instanceof Refusal)) throw error;
    Object.assign(entry, { key, record: null, error: error.message });
  }
  return true;
}

/**
 * Loads what is selected. Where no run has the chosen quantity, the first one that they have is chosen.
 * @returns {Promise<boolean>} whether something was loaded
 */
export async function load() {
  const changed = await Promise.all((state.runs ?? []).map(loadRun));
  const offered = quantities();
  if (offered.length && !offered.includes(state.quantity)) {
    state.quantity = offered[0];
    return load();
  }
  return changed.includes(true);
}

/** The quantities of the selected runs, the known ones first. */
export function quantities() {
  const found = new Set([...state.selected.values()].flatMap((entry) => entry.record?.quantities ?? []));
  const known = [...QUANTITIES.keys()];
  return [...known.filter((name) => found.has(name)), ...[...found].filter((name) => !QUANTITIES.has(name))];
}
