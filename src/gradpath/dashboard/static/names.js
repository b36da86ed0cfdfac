// @ts-check
// Long names in narrow places.

const DOTS = "…";
const DIGITS = 4;
const BOUNDARIES = "/._-=,: ";

/**
 * Each name in at most so many characters, so that no two read the same. Numbers have fewer digits. Of other names, what the
 * long ones share at both ends is left out first, at words, then the middle. What is not cut is as it was.
 * @param {string[]} names
 * @param {number} most
 * @returns {Map<string, string>}
 */
export function abridged(names, most) {
  const long = [...new Set(names)].filter((name) => name.length > most);
  if (long.length && long.every((name) => name.trim() && Number.isFinite(Number(name)))) return rounded(names, long);
  const [start, end] = shared(long);
  const seen = new Set(names.filter((name) => name.length <= most));
  return new Map(names.map((name) => {
    if (name.length <= most) return [name, name];
    const own = name.slice(start, name.length - end);
    const short = cut(`${start ? DOTS : ""}${own}${end ? DOTS : ""}`, most);
    // Two that differ in the middle only are counted.
    let unique = short;
    for (let count = 2; seen.has(unique); count++) unique = `${cut(short, most - 2 - String(count).length)} (${count})`;
    seen.add(unique);
    return [name, unique];
  }));
}

/**
 * The long ones of some names as numbers of four digits, or of as many as keep them apart.
 * @param {string[]} names
 * @param {string[]} long
 */
function rounded(names, long) {
  const different = new Set(names).size;
  for (let digits = DIGITS; digits < 18; digits++) {
    const found = new Map(names.map((name) => [name, long.includes(name) ? String(Number(Number(name).toPrecision(digits))) : name]));
    if (new Set(found.values()).size === different) return found;
  }
  return new Map(names.map((name) => [name, name]));
}

/**
 * A text without its middle.
 * @param {string} text
 * @param {number} most
 */
export function cut(text, most) {
  if (text.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return `${text.slice(0, most - 1 - end)}${DOTS}${text.slice(text.length - end)}`;
}

/**
 * How many characters texts share at their starts and at their ends, as far as these are whole words.
 * @param {string[]} texts
 * @returns {[start: number, end: number]}
 */
function shared(texts) {
  if (texts.length < 2) return [0, 0];
  const [first] = texts;
  const shortest = Math.min(...texts.map((text) => text.length));
  /** @param {number} most @param {(text: string, index: number) => string} at */
  const run = (most, at) => {
    let count = 0;
    while (count < most && texts.every((text) => at(text, count) === at(first, count))) count++;
    while (count > 0 && !BOUNDARIES.includes(at(first, count - 1))) count--;
    return count;
  };
  const start = run(shortest - 1, (text, index) => text[index]);
  return [start, run(shortest - start - 1, (text, index) => text[text.length - 1 - index])];
}
