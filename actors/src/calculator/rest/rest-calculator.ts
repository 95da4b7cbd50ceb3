/** A calculator node whose code is a service over HTTP: always committed, its results are logged. */
import type { CommittedBehavior, Env } from "@millrace/engine";
import { committedCalculator } from "../calculator.ts";
import { INLINE_PAYLOADS } from "../calculator-payloads.ts";
import type { LooseCalculator } from "../process/process-calculator.ts";
import { RestCalculatorHost, type RestCalculatorOptions } from "./rest-calculator-host.ts";

/** `client` makes the connections of one incarnation, and is closed with it. */
export type RestOptions = Omit<RestCalculatorOptions, "client">;

export function restCalculator(options: RestCalculatorOptions, env: Env): CommittedBehavior {
  return committedCalculator(new RestCalculatorHost(options, env), options.payloads);
}

/** Outside of any graph. */
export async function openRestCalculator(options: RestCalculatorOptions, env: Env): Promise<LooseCalculator> {
  const host = new RestCalculatorHost(options, env);
  await host.open();
  return {
    run: (rows, context) => host.run(rows, context, INLINE_PAYLOADS),
    reset: () => undefined,
    usage: () => undefined,
    describe: () => host.describe(),
    close: () => host.close(),
  };
}
