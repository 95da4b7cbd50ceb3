import { type EventLog, SnapshotStore, systemEnv } from "@millrace/engine";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { Host, type HostPorts } from "./host.ts";

/** A host that keeps nothing of its own: for tests of graphs, and tests over servers that are taken away. */
export function memoryHost(log: EventLog, ports: Partial<HostPorts> = {}): Host {
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
    ...ports,
  });
}
