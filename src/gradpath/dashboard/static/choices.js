// @ts-check
// What is chosen of a sweep, and what its cells hold, beside the small multiples.

import { MOST_LINES } from "./cell.js";
import { html } from "./elements.js";
import { grouped } from "./grouped.js";
import { differing } from "./grouping.js";
import { grid } from "./multiples.js";
import { cut } from "./names.js";
import { page } from "./page.js";
import { asked, profileOf } from "./profiles.js";
import { state } from "./state.js";
import { classStyle } from "./verdict.js";

const WIDEST = 26; // characters in a line beside the small multiples

/**
 * @param {HTMLSelectElement} list
 * @param {[value: string, title: string][]} options
 * @param {string} chosen
 */
function offer(list, options, chosen) {
  const before = [...list.options].map(({ value }) => value).join("\n");
  if (before !== options.map(([value]) => value).join("\n")) {
    list.replaceChildren(...options.map(([value, title]) => html("option", { value }, title)));
  }
  list.value = chosen;
}

/** Draws the choices. */
export function drawChoices() {
  const keys = differing(asked.jobs ?? []);
  /** @type {[string, string][]} */
  const offered = [["", "–"], ...keys.map((key) => /** @type {[string, string]} */ ([key, key]))];
  offer(page.sweep, state.sweeps.map(({ name }) => [name, name]), asked.sweep);
  offer(page.rows, offered, asked.rows);
  offer(page.columns, offered, asked.columns);
  for (const input of page.ends.querySelectorAll("input")) input.checked = (input.value === "end") === asked.end;
  for (const input of page.values.querySelectorAll("input")) input.checked = (input.value === "relative") === state.relative;
}

/** Says how many runs there are of each class, what the lines of a cell differ in, and what is not shown. */
export function drawCounts() {
  const jobs = asked.jobs ?? [];
  const profiles = jobs.map(profileOf);
  const shown = profiles.filter(({ values }) => values);
  const missing = grouped(profiles.filter((profile) => profile.missing), (profile) => profile.missing);
  const overlaid = [...new Set(grid.cells.flatMap(({ group }) => differing(group.jobs)))];
  const most = Math.max(0, ...grid.cells.map(({ group }) => group.jobs.filter(({ run }) => run !== null).length));
  page.counts.replaceChildren(
    html("p", {}, jobs.length === 1 ? "1 job" : `${jobs.length} jobs`, shown.length < jobs.length ? `, of which ${shown.length} are read:` : ":"),
    ...[...grouped(shown, (profile) => profile.class)].map(([kind, all]) =>
      html("p", {}, html("b", { class: `class ${classStyle(kind)}` }, kind), ` ${all.length}`)),
    ...[...missing].map(([word, all]) => html("p", { class: "soft" }, `${word} ${all.length}`)));
  page.remarks.replaceChildren(
    ...(overlaid.length ? [html("p", { title: overlaid.join(", ") }, `The lines in a cell differ in ${overlaid.map((key) => cut(key, WIDEST)).join(", ")}.`)] : []),
    ...(most > MOST_LINES ? [html("p", {}, `Of a cell's runs, the first ${MOST_LINES} are drawn.`)] : []),
    ...grid.left.map((sentence) => html("p", {}, sentence)));
}
