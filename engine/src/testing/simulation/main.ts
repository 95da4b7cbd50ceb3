/**
 * `npm run simulate`: one seed of one scenario again, or a campaign over many. Prints a line for each failure and, at the end,
 * virtual hours, seeds per minute, crashes and drops. Ends with 1 when an invariant broke.
 *
 * @example
 * npm run simulate -- --seeds 5000
 * npm run simulate -- --seed 17 --scenario diamond
 * npm run simulate -- --seeds 24 --scenario poison --rules-off R14
 */
import { parseArgs } from "node:util";
import { RULE_IDS, type RuleId } from "../../step/protocol-rules.ts";
import { systemEnv } from "../../time/system-env.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";
import { type SimulationOptions, type SimulationResult, simulate } from "./simulate.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const REPORT_EVERY = 500;

interface Totals {
  runs: number;
  failed: number;
  virtualMs: number;
  crashes: number;
  framesDropped: number;
  events: number;
}

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "24" },
    from: { type: "string", default: "0" },
    scenario: { type: "string" },
    "rules-off": { type: "string", default: "" },
    "ack-before-durable": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  say(
    "npm run simulate -- [--seeds N] [--from N] [--seed TEXT] [--scenario NAME] [--rules-off R14,…] [--ack-before-durable]",
  );
  say(`scenarios: ${SCENARIOS.map(({ name }) => name).join(", ")}`);
  process.exit(0);
}

process.exitCode = (await campaign()) === 0 ? 0 : 1;

async function campaign(): Promise<number> {
  const clock = systemEnv().clock;
  const startedMs = clock.monotonic();
  const totals: Totals = { runs: 0, failed: 0, virtualMs: 0, crashes: 0, framesDropped: 0, events: 0 };
  const report = (): void => say(summary(totals, clock.monotonic() - startedMs));
  for (const [seed, scenario] of runs()) {
    count(totals, await simulate(seed, scenario, options()));
    if (totals.runs % REPORT_EVERY === 0) report();
  }
  report();
  return totals.failed;
}

/** A campaign deals its seeds to the scenarios in turn; one scenario alone gets all of them. */
function* runs(): Generator<[string, Scenario]> {
  const scenarios = values.scenario === undefined ? SCENARIOS : SCENARIOS.filter((s) => s.name === values.scenario);
  if (scenarios.length === 0) throw new Error(`no scenario ${values.scenario}: ${SCENARIOS.map((s) => s.name).join()}`);
  const from = Number(values.from);
  for (let i = 0; i < (values.seed === undefined ? Number(values.seeds) : scenarios.length); i++) {
    const scenario = scenarios[i % scenarios.length] as Scenario;
    yield [values.seed ?? String(from + Math.floor(i / scenarios.length)), scenario];
  }
}

function options(): SimulationOptions {
  const named = (values["rules-off"] ?? "").split(",").filter((id) => id !== "");
  const unknown = named.find((id) => !RULE_IDS.some((known) => known === id));
  if (unknown !== undefined) throw new Error(`no rule ${unknown} can be switched off: ${RULE_IDS.join()}`);
  return { rulesOff: named as RuleId[], ackBeforeDurable: values["ack-before-durable"] ?? false };
}

function count(totals: Totals, result: SimulationResult): void {
  totals.runs++;
  totals.virtualMs += result.virtualMs;
  totals.crashes += result.crashes;
  totals.framesDropped += result.framesDropped;
  totals.events += result.events;
  if (result.failure === undefined) return;
  totals.failed++;
  say(result.failure);
}

function summary({ runs: count, failed, virtualMs, crashes, framesDropped, events }: Totals, tookMs: number): string {
  const perMinute = Math.round((count / Math.max(1, tookMs)) * MINUTE_MS);
  const hours = (virtualMs / HOUR_MS).toFixed(1);
  return `SIM ${count} seeds, ${failed} failed, ${hours} virtual hours, ${perMinute} seeds/min, ${crashes} crashes, ${framesDropped} frames dropped, ${events} events`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
