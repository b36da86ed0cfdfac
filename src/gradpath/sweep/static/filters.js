// @ts-check
// Which runs are shown, and how they are grouped. This applies to all that stands below.

import { html } from "../../dashboard/static/elements.js";
import { ALL, CONFIGURATION, CRITERIA, change, chosen, follow, shown, trait } from "./chosen.js";
import { report, SHARED } from "./data.js";
import { groups, legend } from "./groups.js";
import { select } from "./parts.js";
import { sharesOf } from "./shares.js";

/** @param {string} criterion */
const values = (criterion) => (report.keys.includes(criterion) ? sharesOf(criterion)
  : [...new Set(report.runs.map((run) => trait(run, criterion)))]);

/**
 * @param {string} criterion
 * @param {string} value
 */
function box(criterion, value) {
  const input = html("input", { type: "checkbox", checked: true, value });
  input.addEventListener("change", () => change(() => {
    if (input.checked) chosen.left.get(criterion)?.delete(value);
    else chosen.left.get(criterion)?.add(value);
  }));
  return html("label", {}, input, html("span", {}, value === "missing" ? "not ended" : value));
}

/** @param {string} criterion */
const boxes = (criterion) => html("fieldset", { "data-criterion": criterion },
  html("legend", { class: "soft" }, criterion), html("div", {}, ...values(criterion).map((value) => box(criterion, value))));

/** The names by which runs can be grouped. */
function groupings() {
  const keys = SHARED.map((value) => ({ value, title: value }));
  const all = CONFIGURATION.length > 1 ? [{ value: ALL, title: "configuration (all but the seed)" }] : [];
  return [...all, ...keys, { value: "", title: "nothing" }];
}

export function drawFilters() {
  const offered = CRITERIA.filter((criterion) => values(criterion).length > 1);
  const count = html("output");
  const reset = html("button", { type: "button", class: "plain" }, "Show all");
  const colours = html("div", { class: "all-groups" });
  const bar = html("form", { id: "filters", "aria-label": "Filter" },
    html("div", { class: "line" }, ...offered.map(boxes)),
    html("div", { class: "line" },
      select("Group and colour by", groupings(), chosen.group, (value) => change(() => { chosen.group = value; })),
      colours, html("div", { class: "count" }, count, reset)));
  bar.addEventListener("submit", (event) => event.preventDefault());
  reset.addEventListener("click", () => change(() => {
    for (const left of chosen.left.values()) left.clear();
    for (const input of bar.querySelectorAll("input")) input.checked = true;
  }));
  follow(() => {
    const some = shown().length;
    count.textContent = `${some} of ${report.runs.length} ${report.runs.length === 1 ? "run" : "runs"}`;
    reset.hidden = some === report.runs.length;
    colours.replaceChildren(legend(groups()));
  });
  return bar;
}
