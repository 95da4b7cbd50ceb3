/** A host over a log in memory, for graphs that run in the test's process while their servers are taken away from them. */
import { type EventLog, SnapshotStore, systemEnv } from "@millrace/engine";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { Host } from "../../src/host/host.ts";

export function hostOver(log: EventLog, options: Partial<ConstructorParameters<typeof Host>[0]> = {}): Host {
  return new Host({
    log,
    env: systemEnv(),
    host: "test",
    snapshots: new SnapshotStore(memoryOrderedStore(), log),
    untilDone: false,
    report: (thrown) => {
      throw thrown;
    },
    deadLetters: async (ids) => ids.map(() => undefined),
    ...options,
  });
}
