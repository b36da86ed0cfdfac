// @ts-check
// A cell of the small multiples: the profiles of a few runs over each other, with their class in words.

import { makePlane } from "./axes.js";
import { html, svg } from "./elements.js";
import { grouped } from "./grouped.js";
import { differing } from "./grouping.js";
import { cut } from "./names.js";
import { curve, offScale } from "./lines.js";
import { decimal } from "./numbers.js";
import { profileOf } from "./profiles.js";
import { classStyle } from "./verdict.js";

/** @typedef {import("./grouping.js").Group} Group */
/** @typedef {import("./profiles.js").Profile} Profile */
/** @typedef {import("./scales.js").Scale} Scale */

/** What all cells share. `depth`: the layers of the deepest network. @typedef {{scale: Scale, marks: number[], depth: number, width: number, height: number}} Frame */

export const MOST_LINES = 24;
const MOST_NAMED = 8;
const KEYS = 20; // characters of the keys in which the runs of a cell differ

/**
 * @param {number} depth
 * @param {number} width
 * @returns {(layer: number) => number} where a layer is
 */
export const acrossOf = (depth, width) => (layer) => (depth === 1 ? width / 2 : 7 + (layer / (depth - 1)) * (width - 14));

/** The runs of a cell that are drawn. @param {Group} group */
export const drawnJobs = ({ jobs }) => jobs.filter(({ run }) => run !== null).slice(0, MOST_LINES);

/**
 * How many there are of each, in words; the word alone if there is one only.
 * @param {string[]} words
 */
function tally(words) {
  const counts = [...grouped(words, (word) => word)].map(([word, all]) => ({ word, count: all.length }));
  return counts.length === 1 ? counts[0].word : counts.map(({ word, count }) => `${count} ${word}`).join(", ");
}

/**
 * What a cell says: the class of its runs, or why there is none, and how many they are.
 * @param {Group} group
 */
export function said(group) {
  const lines = drawnJobs(group);
  const profiles = [...lines, ...group.jobs.filter(({ run }) => run === null)].map(profileOf);
  const shown = profiles.filter(({ values }) => values);
  const classes = [...new Set(shown.map((profile) => profile.class))];
  const missing = profiles.flatMap((profile) => (profile.missing ? [profile.missing] : []));
  const total = group.jobs.length;
  const loading = profiles.some(({ values, missing: word }) => !values && !word);
  const words = shown.length ? tally(shown.map((profile) => profile.class)) : loading ? "…" : tally(missing);
  const keys = differing(group.jobs).join(", ");
  return {
    words, style: classes.length === 1 ? classStyle(classes[0]) : "soft",
    count: !loading && !shown.length && total === 1 ? "" : loading || shown.length === total ? `n = ${total}` : shown.length || new Set(missing).size === 1 ? `n = ${shown.length} of ${total}` : "",
    keys: loading || shown.length ? keys : "", brief: keys && (loading || shown.length) ? `(${cut(keys, KEYS)})` : "",
  };
}

/**
 * The picture of a cell.
 * @param {Group} group
 * @param {Frame} frame
 */
export function drawProfiles(group, { scale, marks, depth, width, height }) {
  const plane = makePlane({ left: 0, top: 1, width, height: height - 2 }, scale);
  const across = acrossOf(depth, width);
  const profiles = drawnJobs(group).map(profileOf);
  const theories = new Set(profiles.flatMap(({ theory }) => (theory ? [curve(theory, plane, across)] : [])));
  return svg("svg", { width, height, "aria-hidden": "true" },
    ...marks.map((at) => svg("line", { class: at === 0 ? "axis" : "grid", x1: 0, x2: width, y1: plane.level(at), y2: plane.level(at) })),
    ...profiles.flatMap(({ job, values, class: kind }) => (values ? [
      svg("path", { class: `measured ${classStyle(kind)}`, "data-run": job.run, d: curve(values, plane, across) }),
      ...values.map((value, layer) => offScale(scale.special(value), across(layer), plane, "currentColor")),
    ] : [])),
    ...[...theories].map((d) => svg("path", { class: "theory", d })));
}

/**
 * The lines of a cell's tip.
 * @param {Group} group
 * @param {string} title
 */
export function groupTip(group, title) {
  const { count, keys } = said(group);
  const profiles = group.jobs.slice(0, MOST_NAMED).map(profileOf);
  const rest = group.jobs.length - profiles.length;
  return [
    html("div", {}, html("b", {}, title)), html("div", {}, keys ? `${count}, which differ in ${keys}` : count),
    ...profiles.map(({ job, values, class: kind, ratio, missing, why }) => html("div", {}, html("span", {}, job.name),
      values ? `${kind}, first / last ${Number.isNaN(ratio) ? "–" : decimal(ratio)}` : why ?? (missing || "loading …"))),
    ...(rest > 0 ? [html("div", {}, `and ${rest} more`)] : []),
    ...(drawnJobs(group).length ? [html("div", {}, "Enter or a click shows them in Runs.")] : []),
  ];
}
