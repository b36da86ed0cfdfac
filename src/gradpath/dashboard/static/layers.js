// @ts-check
// The names of layers along an axis.

import { ending, last, shortened } from "./numbers.js";

/**
 * A title and a name per layer. "hidden_01", ..., "output" read well as "01", ..., "output" under a title with the rest.
 * @param {string[][]} networks the layers of each
 * @returns {[title: string, names: string[]]}
 */
export function axisLayers(networks) {
  const [first, ...others] = networks;
  const longest = Math.max(...networks.map((layers) => layers.length));
  if (others.some((layers) => layers.join("\n") !== first.join("\n"))) {
    return ["layer, counted from the input", Array.from({ length: longest }, (_, index) => String(index + 1))];
  }
  const stem = first[0].replace(/\d+$/, "");
  const hidden = first.slice(0, -1);
  const numbered = hidden.length > 1 && stem
    && hidden.every((name) => name.startsWith(stem) && /^\d+$/.test(name.slice(stem.length)));
  if (!numbered) return ["layer (input at the left)", first.map((name) => ending(name))];
  const words = stem.replace(/[_.\s]+$/, "").replaceAll("_", " ");
  return [`${shortened(words, 40)} layer (input at the left)`, [...hidden.map((name) => name.slice(stem.length)), last(first)].map((name) => ending(name))];
}
