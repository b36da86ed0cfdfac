// @ts-check
// What the sweep or the run is, and how to make it again.

import { html } from "../../dashboard/static/elements.js";
import { copied } from "../../dashboard/static/verdict.js";
import { LOST, report } from "./data.js";
import { mark } from "./parts.js";

/** @param {string} name */
const known = (name) => report.environment[name] ?? [];

/** The state of the code: commits, and whether anything was changed besides. */
function code() {
  const commits = known("git_commit").map((commit) => String(commit).slice(0, 10));
  if (!commits.length) return null;
  const clean = known("git_clean");
  const changed = clean.includes(false) ? clean.includes(true) ? "; some runs with uncommitted changes" : ", with uncommitted changes" : ", clean";
  return `git ${commits.join(", ")}${changed}`;
}

function facts() {
  const versions = ["gradpath", "torch", "lightning", "python"]
    .filter((name) => known(name).length).map((name) => `${name} ${known(name).join(", ")}`);
  const threads = known("threads");
  const gpu = known("gpu");
  return [
    ...versions, gpu.length ? gpu.join(", ") : known("device").join(", ") || null,
    threads.length ? `${threads.join(", ")} ${threads.join() === "1" ? "thread" : "threads"} per job` : null, code(),
  ].filter((fact) => fact !== null);
}

/** The commands that make it again. */
function again() {
  const commits = known("git_commit");
  return [commits.length === 1 ? `git checkout ${commits[0]}` : null, ...report.commands].filter((line) => line !== null);
}

/** Words at the top of the page. */
export function drawHead() {
  const { runs } = report;
  const counts = ["ok", ...LOST].map((status) => [status, runs.filter((run) => run.status === status).length]);
  const marks = counts.filter(([, count]) => count).map(([status, count]) =>
    mark(String(status), report.kind === "sweep" ? Number(count) : undefined));
  const kind = report.search ? "search" : "sweep";
  const size = report.kind === "sweep" ? `${kind} of ${runs.length} ${runs.length === 1 ? "run" : "runs"}` : "run";
  return html("header", { id: "head" },
    html("div", { class: "title" }, html("h1", {}, report.name), html("span", { class: "soft" }, size), ...marks),
    html("ul", { class: "facts soft" }, ...facts().map((fact) => html("li", {}, fact))),
    ...report.notes.map((note) => html("p", { class: "note" }, note)),
    html("div", { class: "again" }, html("h2", {}, "How to make it again"), ...again().map((line) => copied(line))));
}
