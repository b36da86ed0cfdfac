// @ts-check
// What was found to repair in the selected runs.

import { RUN_COLOURS, swatch } from "./colours.js";
import { html } from "./elements.js";
import { page } from "./page.js";
import { state } from "./state.js";
import { drawFinding } from "./verdict.js";

/** Draws what was found in the selected runs, and how to repair it. */
export function drawFindings() {
  const entries = [...state.selected];
  const findings = entries.flatMap(([name, { record, slot }]) =>
    (record?.verdict?.findings ?? []).map((finding) => ({ name, slot, ...finding })));
  const found = findings.map(({ name, slot, ...finding }) =>
    drawFinding(finding, entries.length > 1 ? swatch(RUN_COLOURS[slot], name) : null));
  const deviations = entries.flatMap(([name, { record, slot }]) => {
    const deviation = record?.verdict?.deviation;
    if (!deviation) return [];
    const whose = entries.length > 1 ? swatch(RUN_COLOURS[slot], name) : null;
    return [html("p", { class: "soft deviation" }, whose, ` At step 0 ${deviation}.`)];
  });
  page.findings.replaceChildren(
    ...(found.length ? found : [html("p", { class: "soft" }, "Nothing found to repair.")]), ...deviations);
}
