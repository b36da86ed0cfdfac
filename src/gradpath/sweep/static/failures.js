// @ts-check
// The runs that failed or diverged, and why.

import { html } from "../../dashboard/static/elements.js";
import { follow, shown } from "./chosen.js";
import { openRuns } from "./drawer.js";
import { empty, mark, section } from "./parts.js";

/** @typedef {import("./data.js").Run} Run */

/** A reason of more characters may be cut. */
const LONG = 160;

/** @param {Run} run */
function line(run) {
  const button = html("button", { type: "button", class: "link" }, run.job);
  button.addEventListener("click", () => openRuns(run.job, [run]));
  const divergence = run.verdict?.findings.find(({ kind }) => kind === "divergence");
  const remedy = divergence?.remedy ? html("span", {}, html("span", { class: "soft" }, "try "), html("code", {}, divergence.remedy)) : null;
  const error = run.error ?? "no reason was written down";
  const reason = html("span", { class: "reason", "data-whole": error.length > LONG ? error : null }, error);
  return html("li", {}, mark(run.status), button, reason, remedy);
}

export function drawFailures() {
  const { element, note, place } = section("failures", "Failed and diverged");
  follow(() => {
    const bad = ["failed", "ended from outside", "diverged"].flatMap((status) => shown().filter((run) => run.status === status));
    note.textContent = bad.length ? `${bad.length} of ${shown().length} ${shown().length === 1 ? "run" : "runs"}` : "";
    place.replaceChildren(bad.length ? html("ul", { class: "list" }, ...bad.map(line)) : empty("No run that is shown failed or diverged."));
  });
  return element;
}
