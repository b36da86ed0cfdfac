// @ts-check
// The verdict on a run, and a finding with its remedy.

import { html } from "./elements.js";
import { decimal } from "./numbers.js";

/** @typedef {import("./state.js").Finding} Finding */
/** @typedef {import("./state.js").Judgement} Judgement */
/** @typedef {import("./state.js").Verdict} Verdict */

const CLASSES = ["vanishing", "exploding", "healthy"];

/**
 * The style of a gradient's class. A record may hold any word in its place.
 * @param {string | null | undefined} name
 */
export const classStyle = (name) => (name && CLASSES.includes(name) ? name : "soft");

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
    html("span", { class: `class ${classStyle(name)}` }, name ?? "undecided");
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
  const figures = html("div", { class: "verdict", title }, ...lines);
  return verdict.undecided ? html("div", {}, figures, html("p", { class: "soft" }, verdict.undecided)) : figures;
}

/**
 * @param {Finding} finding
 * @param {Node | null} whose stands before the title
 */
export const drawFinding = (finding, whose) => html("article", { class: "finding" },
  html("h3", {}, whose, (finding.kind ?? "").replaceAll("_", " "),
    html("span", { class: "soft" }, [finding.cause, finding.layer].filter(Boolean).join(", "))),
  html("p", {}, finding.message ?? ""),
  finding.remedy ? copied(finding.remedy, "try") : null);

/**
 * A text with a button that copies it.
 * @param {string} text
 * @param {string} [verb] what to do with it; it is not copied
 */
export function copied(text, verb) {
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
  return html("div", { class: "remedy" }, verb ? html("span", { class: "soft" }, verb) : null, code, button);
}
