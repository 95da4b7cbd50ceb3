/**
 * What every `EventLog` must do. An implementation's test calls {@link eventLogContract} and adds only what is peculiar to
 * it. The memory log passes the same suite, so tests may use it in place of any other.
 */
import { describe } from "vitest";
import { appendContract } from "./event-log/append-contract.ts";
import { conditionContract } from "./event-log/condition-contract.ts";
import type { MakeEventLog } from "./event-log/harness.ts";
import { listContract } from "./event-log/list-contract.ts";
import { modelContract } from "./event-log/model-contract.ts";
import { readContract } from "./event-log/read-contract.ts";
import { retryContract } from "./event-log/retry-contract.ts";
import { subscriptionContract } from "./event-log/subscription-contract.ts";

/** `make` opens an empty log on fresh storage; it is called once per test. */
export function eventLogContract(name: string, make: MakeEventLog): void {
  describe(`${name} is an event log`, () => {
    appendContract(make);
    retryContract(make);
    readContract(make);
    subscriptionContract(make);
    listContract(make);
    conditionContract(make);
    modelContract(make);
  });
}
