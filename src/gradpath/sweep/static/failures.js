// @ts-check
// The runs that failed or diverged, and why.

import { html } from "../../dashboard/static/elements.js";
import { follow, shown } from "./chosen.js";
import { openRuns } from "./drawer.js";
import { empty, mark, section } from "./parts.js";

/** @typedef {import("./data.js").Run} Run */

/** @param {Run} run */
function line(run) {
  const button = html("button", { type: "button", class: "link" }, run.job);
  button.addEventListener("click", () => openRuns(run.job, [run]));
  const divergence = run.verdict?.findings.find(({ kind }) => kind === "divergence");
  const remedy = divergence?.remedy ? html("code", {}, divergence.remedy) : null;
  return html("li", {}, mark(run.status), button, html("span", { class: "reason" }, run.error ?? "no reason was written down"), remedy);
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
