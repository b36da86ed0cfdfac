// @ts-check
// The quantities that the page knows by name. A record may hold others.

/** @typedef {import("./scales.js").ScaleKind} ScaleKind */
/** @typedef {{title: string, symbol: string, unit: string, scale: ScaleKind}} Quantity */

/** @type {[name: string, title: string, symbol: string, unit: string, scale: ScaleKind][]} */
const TABLE = [
  ["delta", "Gradient at the pre-activation, |δ|", "|δ|", "root mean square over samples", "log"],
  ["delta_second_moment", "Second moment of δ", "⟨|δ|²⟩", "mean over samples", "log"],
  ["delta_rms", "Gradient per unit, rms δ", "rms δ", "root mean square over samples and units", "log"],
  ["weight_grad_norm", "Weight gradient, |dW|", "|dW|", "norm, before clipping", "log"],
  ["weight_grad_norm_clipped", "Weight gradient after clipping", "|dW|", "norm, after clipping", "log"],
  ["bias_grad_norm", "Bias gradient, |db|", "|db|", "norm", "log"],
  ["weight_norm", "Weight, |W|", "|W|", "norm", "log"],
  ["weight_grad_ratio", "Gradient per weight, |dW| / |W|", "|dW| / |W|", "ratio of norms", "log"],
  ["update_ratio", "Update per weight, |ΔW| / |W|", "|ΔW| / |W|", "ratio of norms", "log"],
  ["activation_mean", "Mean activation", "mean activation", "over units and samples", "signed"],
  ["activation_variance", "Variance of the activation", "activation variance", "over units and samples", "log"],
  ["saturated", "Saturated units", "saturated units", "fraction of all", "fraction"],
  ["dead", "Dead units", "dead units", "fraction of all", "fraction"],
  ["correlation", "Correlation of two inputs", "correlation", "of two fixed inputs", "correlation"],
  ["rank", "Rank of the weight", "rank of W", "count", "linear"],
];

/** @type {ReadonlyMap<string, Quantity>} */
export const QUANTITIES = new Map(TABLE.map(([name, title, symbol, unit, scale]) => [name, { title, symbol, unit, scale }]));
