// @ts-check
// The verdict on a run, and what was found to repair.

import { RUN_COLOURS, swatch } from "./colours.js";
import { html } from "./elements.js";
import { decimal } from "./numbers.js";
import { page } from "./page.js";
import { state } from "./state.js";

/** @typedef {import("./state.js").Judgement} Judgement */
/** @typedef {import("./state.js").Verdict} Verdict */

const CLASSES = ["vanishing", "exploding", "healthy"];

/**
 * @param {Verdict | null} verdict
 * @param {string | null} refused why a recorded verdict was not sent
 */
export function drawVerdict(verdict, refused) {
  if (!verdict) return html("p", { class: "soft" }, refused ?? "no verdict recorded");
  /** @param {string} text */
  const soft = (text) => html("span", { class: "soft" }, text);
  /** @param {number} value */
  const figure = (value) => (Number.isNaN(value) ? soft("–") : html("span", {}, decimal(value)));
  /** @param {string | null} name */
  const kind = (name) =>
    html("span", { class: `class ${name && CLASSES.includes(name) ? name : "soft"}` }, name ?? "undecided");
  /**
   * @param {Judgement} judged
   * @param {string} when
   */
  const parts = (judged, when) => [
    soft(when), kind(judged.class), soft("first / last"), figure(judged.ratio), soft("per layer"), figure(judged.rate_per_layer),
  ];
  const title = "The gradient at the first hidden layer over that at the last, and its factor per layer towards the input";
  /**
   * @param {Judgement} judged
   * @param {string} when
   */
  const lines = verdict.end ? [...parts(verdict, "start"), ...parts(verdict.end, "end")] : parts(verdict, "gradient");
  return html("div", { class: "verdict", title }, ...lines);
}

/** Draws what was found in the selected runs, and how to repair it. */
export function drawFindings() {
  const entries = [...state.selected];
  const findings = entries.flatMap(([name, { record, slot }]) =>
    (record?.verdict?.findings ?? []).map((finding) => ({ name, slot, ...finding })));
  const found = findings.map(({ name, slot, ...finding }) => html("article", { class: "finding" },
    html("h3", {}, entries.length > 1 ? swatch(RUN_COLOURS[slot], name) : null, (finding.kind ?? "").replaceAll("_", " "),
      html("span", { class: "soft" }, [finding.cause, finding.layer].filter(Boolean).join(", "))),
    html("p", {}, finding.message ?? ""),
    finding.remedy ? remedy(finding.remedy) : null));
  const deviations = entries.flatMap(([name, { record, slot }]) => {
    const deviation = record?.verdict?.deviation;
    if (!deviation) return [];
    const whose = entries.length > 1 ? swatch(RUN_COLOURS[slot], name) : null;
    return [html("p", { class: "soft deviation" }, whose, ` At step 0 ${deviation}.`)];
  });
  page.findings.replaceChildren(
    ...(found.length ? found : [html("p", { class: "soft" }, "Nothing found to repair.")]), ...deviations);
}

/** @param {string} text */
function remedy(text) {
  const code = html("code", {}, text);
  const button = html("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(code); // There is no clipboard without https. The reader then presses Ctrl+C.
    }
  });
  return html("div", { class: "remedy" }, code, button);
}
