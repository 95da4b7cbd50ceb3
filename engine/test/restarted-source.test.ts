import { describe, expect, it } from "vitest";
import { GraphRuntime, InvariantViolation, type SourceConnector, type SourceReader, sleep } from "../src/mod.ts";
import { SimulatedLog, type VirtualProcess, virtualEnv } from "../src/testing/mod.ts";

/** Says that it is idle, fails as a bug would before that can be committed, and is at its end when it is opened again. */
function failsOnce({ env }: VirtualProcess): SourceConnector {
  let opened = 0;
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["p0"],
    async open(): Promise<SourceReader> {
      const isFirst = opened++ === 0;
      let reads = 0;
      return {
        async read() {
          await sleep(env, 20);
          if (!isFirst) return "end";
          if (reads++ > 0) throw new InvariantViolation("a bug");
          return "idle";
        },
        close: async () => undefined,
      };
    },
  };
}

describe("a source that restarts", () => {
  it("is believed although its epoch is the same, because its marks go on growing", async () => {
    const env = virtualEnv("restarted source");
    const process = env.process("host");
    const storage = new SimulatedLog({ env, random: env.random.fork("log") });
    const runtime = new GraphRuntime(
      {
        graph: "g",
        revision: 1,
        codeVersion: "1",
        durability: "durable",
        nodes: [
          { name: "source", kind: "source", role: "source", connector: failsOnce(process) },
          {
            name: "sink",
            kind: "sink",
            role: "committed",
            make: () => ({ kind: "committed", ports: [], take() {}, seal() {}, discard() {}, fold() {} }),
          },
        ],
        edges: [{ from: "source", to: "sink" }],
        supervision: { backoffMs: 10, jitter: 0 },
      },
      { env: process.env, log: storage.open(process.env), host: "a" },
    );
    await env.until(runtime.start());
    await env.until(runtime.whenFinished, 60_000);
    expect(runtime.state).toBe("finished");
  });
});
