// @ts-check
// What the reader has chosen. `change` changes it, and all that listens is drawn again.

import { choice, report, SHARED } from "./data.js";
import { share } from "./shares.js";

/** @typedef {import("./data.js").Loss} Loss */
/** @typedef {import("./data.js").Part} Part */
/** @typedef {import("./data.js").Run} Run */

/** By what runs can be left out: each key, what became of them, and the version of the code. */
export const CRITERIA = [...SHARED, "status", "verdict", "code"];
const ALONE = SHARED.filter((key) => key !== "seed");

/**
 * The value of a criterion.
 * @param {Run} run
 * @param {string} criterion
 */
export function trait(run, criterion) {
  if (report.keys.includes(criterion)) return share(run, criterion);
  if (criterion === "code") return run.version ?? "unknown";
  return criterion === "status" ? run.status : run.verdict?.class ?? "undecided";
}

/** `group` is a key, "" for one group, or ALL for one group per configuration. */
export const ALL = "*";

/** The number of configurations, seeds aside. */
const configurations = new Set(report.runs.map((run) => ALONE.map((key) => choice(run, key)).join("\n"))).size;

export const chosen = {
  left: /** @type {Map<string, Set<string>>} */ (new Map(CRITERIA.map((name) => [name, new Set()]))),
  group: configurations <= 6 ? ALL : ALONE[0] ?? "",
};

/** The keys that make a configuration: all but the seed, and but what a search drew from intervals. */
export const CONFIGURATION = ALONE;

/** @type {(() => void)[]} */
const listeners = [];

/** @param {() => void} draw is called once the page is put together, and whenever something was chosen */
export const follow = (draw) => void listeners.push(draw);

export function drawAll() {
  for (const draw of listeners) draw();
}

/** @param {() => void} action */
export function change(action) {
  action();
  drawAll();
}

/** The runs that are not left out. */
export const shown = () => report.runs.filter((run) => CRITERIA.every((name) => !chosen.left.get(name)?.has(trait(run, name))));
