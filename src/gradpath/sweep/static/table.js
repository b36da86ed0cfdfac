// @ts-check
// All runs in a table that can be sorted.

import { html } from "../../dashboard/static/elements.js";
import { abridged } from "../../dashboard/static/names.js";
import { standsFor } from "./abridged.js";
import { follow, shown } from "./chosen.js";
import { figure, MEASURED } from "./columns.js";
import { choice, choicesOf, report } from "./data.js";
import { openRuns } from "./drawer.js";
import { mark, section } from "./parts.js";

/** @typedef {import("./data.js").Run} Run */
/** A column: what a cell shows, and by what it is sorted. @typedef {{title: string, numeric: boolean, shown: (run: Run) => Node | string, by: (run: Run) => number | string}} Shown */

/** @param {Run} run */
const found = (run) => (run.verdict?.findings ?? []).map(({ kind }) => kind ?? "").join(", ").replaceAll("_", " ");

/** Characters of a name in the head, and of a value. */
const [HEAD, VALUE] = [34, 34];

/** The values of each key as they are shown. */
const values = new Map(report.keys.map((key) => [key, abridged(choicesOf(key), VALUE)]));

/** @param {Run} run @param {string} key */
const brief = (run, key) => values.get(key)?.get(choice(run, key)) ?? "";

/** The button of a run, which also tells those of its values that are cut. @param {Run} run */
function opener(run) {
  const cut = report.keys.filter((key) => brief(run, key) !== choice(run, key)).map((key) => `${key} ${choice(run, key)}`);
  const button = html("button", { type: "button", class: "link", "data-whole": cut.join("\n") || null }, run.job);
  button.addEventListener("click", () => openRuns(run.job, [run]));
  return button;
}

/** @param {string} key @returns {Shown} */
function ofKey(key) {
  const order = choicesOf(key);
  return {
    title: key, numeric: false, by: (run) => order.indexOf(choice(run, key)),
    shown: (run) => html("span", standsFor(choice(run, key), brief(run, key)), brief(run, key)),
  };
}

/** @param {Run} run */
function findings(run) {
  const text = found(run);
  return text.length > VALUE ? html("span", { "data-whole": text }, text) : text;
}

/** @type {Shown[]} */
const COLUMNS = [
  { title: "run", numeric: false, shown: opener, by: (run) => run.number },
  { title: "status", numeric: false, shown: (run) => mark(run.status), by: (run) => run.status },
  ...report.keys.map(ofKey),
  { title: "verdict", numeric: false, shown: (run) => run.verdict?.class ?? "", by: (run) => run.verdict?.class ?? "" },
  ...MEASURED.map(({ title, value }) => ({
    title, numeric: true, by: value, shown: (/** @type {Run} */ run) => (Number.isNaN(value(run)) ? "" : figure(value(run))),
  })),
  { title: "findings", numeric: false, shown: findings, by: found },
];
if (report.front.length) COLUMNS.splice(2, 0, { title: "front", numeric: false, shown: (run) => (run.front ? "on it" : ""), by: (run) => (run.front ? "on it" : "") });
if (report.versions) COLUMNS.push({ title: "code", numeric: false, shown: (run) => run.version ?? "", by: (run) => run.version ?? "" });

/** A search shows its best trial first; with several objectives, its front. */
const [goal] = report.search?.objectives ?? [];
const first = report.front.length ? "front" : goal?.column;
const asked = { column: Math.max(0, COLUMNS.findIndex(({ title }) => title === first)), down: !report.front.length && goal?.direction === "maximize" };

/** What has no value comes last, whichever way the rest is sorted. @param {Run} a @param {Run} b */
function compare(a, b) {
  const { by } = COLUMNS[asked.column];
  const [left, right] = [by(a), by(b)];
  const [leftEmpty, rightEmpty] = [left, right].map((value) => value === "" || Number.isNaN(value));
  if (leftEmpty || rightEmpty) return Number(leftEmpty) - Number(rightEmpty);
  const order = left < right ? -1 : left > right ? 1 : 0;
  return asked.down ? -order : order;
}

export function drawTable() {
  const { element, note, place } = section("runs", "All runs");
  const short = abridged(COLUMNS.map(({ title }) => title), HEAD);
  const heads = COLUMNS.map(({ title, numeric }, index) => {
    const button = html("button", { type: "button", ...standsFor(title, short.get(title) ?? title) }, short.get(title) ?? title);
    button.addEventListener("click", () => {
      // Numbers are first sorted from the largest down.
      Object.assign(asked, { column: index, down: asked.column === index ? !asked.down : numeric });
      draw();
    });
    return html("th", { scope: "col", class: numeric ? "number" : null }, button);
  });
  const body = html("tbody");
  const table = html("table", {}, html("thead", {}, html("tr", {}, ...heads)), body);
  place.append(html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All runs" }, table));
  function draw() {
    const runs = shown().sort(compare);
    heads.forEach((head, index) => {
      head.setAttribute("aria-sort", index === asked.column ? (asked.down ? "descending" : "ascending") : "none");
    });
    note.textContent = "A click on a column's name sorts by it.";
    body.replaceChildren(...runs.map((run) => html("tr", { "data-job": run.job },
      ...COLUMNS.map((column) => html("td", { class: column.numeric ? "number" : null }, column.shown(run))))));
  }
  follow(draw);
  return element;
}
