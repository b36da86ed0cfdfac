// @ts-check
// All that is known of one run.

import { html } from "../../dashboard/static/elements.js";
import { copied, drawFinding, drawVerdict } from "../../dashboard/static/verdict.js";
import { figure, MEASURED } from "./columns.js";
import { report } from "./data.js";
import { mark } from "./parts.js";

/** @typedef {import("./data.js").Run} Run */

/**
 * A word as a shell reads it.
 * @param {string} word
 */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`);

/** @param {Run} run */
const again = (run) => ["python train.py", ...report.common.map(quoted), ...run.overrides.map(quoted)].join(" ");

/** @param {Run} run */
export const reason = (run) => [
  run.error ? html("p", { class: `reason ${run.status}` }, run.error) : null,
  run.traceback ? html("details", {}, html("summary", {}, "Traceback"), html("pre", {}, run.traceback)) : null,
];

/**
 * The measured numbers of a run.
 * @param {Run} run
 */
export const figures = (run) => html("dl", { class: "figures" }, ...MEASURED.flatMap(({ title, value }) =>
  Number.isNaN(value(run)) ? [] : [html("div", {}, html("dt", {}, title), html("dd", {}, figure(value(run))))]));

/** @param {Run} run */
export function findings(run) {
  const found = run.verdict?.findings ?? [];
  const deviation = run.verdict?.deviation;
  return [
    ...(found.length ? found.map((finding) => drawFinding(finding, null))
      : run.verdict ? [html("p", { class: "soft" }, "Nothing found to repair.")] : []),
    deviation ? html("p", { class: "soft deviation" }, `At step 0 ${deviation}.`) : null,
  ];
}

/**
 * A run that can be folded.
 * @param {Run} run
 * @param {boolean} open
 */
export const runCard = (run, open) => html("details", { class: "run", open },
  html("summary", {}, html("b", {}, run.job), mark(run.status)),
  ...reason(run),
  run.status === "missing" ? null : drawVerdict(run.verdict, null),
  figures(run), ...findings(run),
  run.front ? html("p", { class: "soft" }, "It is on the front: no other trial beats it.") : null,
  run.version ? html("p", { class: "soft" }, "Made by version ", html("code", {}, run.version), " of the code.") : null,
  html("h4", { class: "soft" }, "This run alone"), copied(again(run)));
