// @ts-check
// Items by what they have in common.

/**
 * Items by what they have in common, in the order in which that is first met.
 * @template T
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 */
export function grouped(items, keyOf) {
  /** @type {Map<string, T[]>} */
  const found = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const others = found.get(key);
    if (others) others.push(item);
    else found.set(key, [item]);
  }
  return found;
}
