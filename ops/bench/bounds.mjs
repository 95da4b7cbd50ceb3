/**
 * Figures that have a bound: each is said with its verdict, and a bench of which one is over ends with 1.
 *
 * @typedef {object} Figure
 * @property {string} what
 * @property {number} is
 * @property {number} most
 * @property {string} unit
 */

/** @param {readonly Figure[]} figures */
export function verdictsOf(figures) {
  return figures.map(({ what, is, most, unit }) => {
    // What is no number is over, too.
    const isOver = !(is <= most);
    return { isOver, line: `${what}: ${is} ${unit}, ${isOver ? "over" : "within"} its bound of ${most} ${unit}` };
  });
}

/** @param {readonly Figure[]} figures */
export function judge(figures) {
  for (const { isOver, line } of verdictsOf(figures)) {
    process.stdout.write(`  ${line}\n`);
    if (isOver) process.exitCode = 1;
  }
}
