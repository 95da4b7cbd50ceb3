/** A vitest reporter: one line per fault case, and how many were survived. */
import process from "node:process";

const STATES = { passed: "survived", failed: "FAILED", skipped: "skipped" };

export default class Scoreboard {
  #survived = 0;
  #cases = 0;
  #skipped = 0;

  onTestCaseResult(testCase) {
    const { state } = testCase.result();
    const { figures } = testCase.meta();
    const seconds = ((testCase.diagnostic()?.duration ?? 0) / 1000).toFixed(1);
    if (state === "skipped") this.#skipped++;
    else this.#cases++;
    if (state === "passed") this.#survived++;
    const line = `${STATES[state] ?? state}`.padEnd(9);
    write(`${line} ${seconds.padStart(7)} s  ${testCase.fullName}${figures === undefined ? "" : ` · ${figures}`}`);
    for (const error of testCase.result().errors ?? []) write(`            ${error.stack ?? error.message}`);
  }

  /** A suite that could not be set up skips its cases: none of them was survived. */
  onTestSuiteResult(suite) {
    const errors = suite.errors();
    if (errors.length === 0) return;
    const lost = [...suite.children.allTests()].filter((testCase) => testCase.result().state === "skipped").length;
    this.#skipped -= lost;
    this.#cases += lost;
    write(`FAILED               ${suite.fullName}: ${lost} cases could not begin`);
    for (const error of errors) write(`            ${error.stack ?? error.message}`);
  }

  onTestRunEnd(modules, unhandled) {
    for (const module of modules) for (const error of module.errors()) write(`${module.moduleId}: ${error.message}`);
    for (const error of unhandled) write(error.stack ?? error.message);
    write(
      `FAULTS survived ${this.#survived} of ${this.#cases}${this.#skipped === 0 ? "" : `, ${this.#skipped} skipped`}`,
    );
  }
}

function write(line) {
  process.stdout.write(`${line}\n`);
}
