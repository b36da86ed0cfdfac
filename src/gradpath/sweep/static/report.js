// @ts-check
// The report of a sweep, or of one run. The page is this script and its data, and asks nobody for anything.

import { html } from "../../dashboard/static/elements.js";
import { followTheme } from "../../dashboard/static/theme.js";
import { tip } from "../../dashboard/static/tip.js";
import { drawVerdict } from "../../dashboard/static/verdict.js";
import { tellWhole } from "./abridged.js";
import { drawAll } from "./chosen.js";
import { drawCurves } from "./curves.js";
import { report, SHARED } from "./data.js";
import { drawer } from "./drawer.js";
import { drawFailures } from "./failures.js";
import { drawFilters } from "./filters.js";
import { drawHead } from "./head.js";
import { drawMatrix } from "./matrix.js";
import { drawParallel } from "./parallel.js";
import { section } from "./parts.js";
import { drawProfiles } from "./profiles.js";
import { figures, findings, reason } from "./runcard.js";
import { drawScatter } from "./scatter.js";
import { drawSearch } from "./search.js";
import { drawTable } from "./table.js";

/** The sections of a sweep. Each is put into the page before it is drawn, because pictures ask for their width. */
const SWEEP = [...(report.search ? [drawSearch] : []), ...(SHARED.length || !report.search ? [drawMatrix] : []), drawCurves, drawProfiles, drawScatter, drawParallel, drawFailures, drawTable];
const RUN = [drawVerdictOfRun, drawCurves, drawProfiles];

/** What is said of the only run. */
function drawVerdictOfRun() {
  const { element, place } = section("verdict", "Verdict and findings");
  const [run] = report.runs;
  place.append(html("div", { class: "only" }, ...[...reason(run), drawVerdict(run.verdict, null), figures(run), ...findings(run)]
    .filter((part) => part !== null)));
  return element;
}

followTheme(null);
tellWhole();
const sweep = report.kind === "sweep";
const main = html("main", { class: report.kind }, ...(sweep ? SWEEP : RUN).map((draw) => draw()));
document.body.replaceChildren(drawHead(), ...(sweep ? [drawFilters()] : []), main, drawer, tip);
drawAll();
let width = main.clientWidth;
new ResizeObserver(() => {
  if (main.clientWidth !== width) drawAll();
  width = main.clientWidth;
}).observe(main);
