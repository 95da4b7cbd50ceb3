/** A log that a later version of Millrace wrote to: nothing reads its events as if they were of a known version. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packState, type RecordedEvent, systemEnv } from "@millrace/engine";
import { sampleEvent } from "@millrace/engine/testing";
import { deadLetterFact, graphFact } from "@millrace/projections";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { describeEvent } from "../src/host/describe-event.ts";
import { deploymentOf, redrivenOf } from "../src/host/graph-stream.ts";
import { type Finished, lastJson, millrace } from "./millrace.ts";

// Every question starts a process.
vi.setConfig({ testTimeout: 60_000 });

const GRAPH = `name: orders
nodes:
  orders: { kind: source, from: "file:./orders.ndjson" }
  table:  { kind: sink, input: orders, to: "projection:all", key: [id] }
`;

describe("a step of a later schema version", () => {
  let cwd: string;
  let position: number;

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), "millrace-schemas-"));
    writeFileSync(join(cwd, "graph.yaml"), GRAPH);
    writeFileSync(join(cwd, "orders.ndjson"), '{"id":1}\n');
    expect((await millrace(["run", "graph.yaml", "--until-done", "--json"], { cwd })).code).toBe(0);
    position = await appendLaterStep(join(cwd, ".millrace", "log"));
  }, 60_000);
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  async function appendLaterStep(directory: string): Promise<number> {
    const env = systemEnv();
    const indexStore = memoryOrderedStore();
    const log = await openEmbeddedLog({ directory, disk: systemDisk(), env, indexStore, onFatal: () => undefined });
    const event = { ...sampleEvent({ type: "Step", payload: packState(["later"]) }), schemaVersion: 7 };
    const appended = await log.append([{ stream: "orders/table", expected: "exists", events: [event] }]);
    await log.close();
    return appended.position;
  }

  const refusal = (): string => `Step at position ${position} has schema version 7; this code knows 1 to 2`;
  const ask = (...args: string[]): Promise<Finished> => millrace([...args, "--data", ".millrace"], { cwd });

  it("is refused by `events show` and by SQL that reads its payload, in the same words", async () => {
    const shown = await ask("events", "show", String(position), "--json");
    expect(shown.code).toBe(1);
    expect(lastJson(shown.stdout)).toMatchObject({ error: { code: "EVENT-SCHEMA", message: refusal() } });
    const asked = await ask("sql", "select sum(messages_in) from steps");
    expect(asked).toMatchObject({ code: 1, stderr: expect.stringContaining(`EVENT-SCHEMA ${refusal()}`) });
  });

  it("is found by what needs no payload", async () => {
    const { stdout } = await ask("sql", "select position, schema_version v from events where type = 'Step'", "--csv");
    expect(stdout).toContain(`\n${position},7\n`);
    expect((await ask("events", "ls")).code).toBe(0);
    expect((await ask("events", "show", String(position - 1))).stdout).toMatch(/^type +\S+$/m);
  });

  it("parks the projections that fold it, and the node whose state it is", async () => {
    const listed = await ask("projection", "ls", "--json");
    expect(lastJson(listed.stdout)).toMatchObject({
      projections: expect.arrayContaining([
        expect.objectContaining({ name: "all", state: "failed", reason: expect.stringContaining(refusal()) }),
      ]),
    });
    writeFileSync(join(cwd, "orders.ndjson"), '{"id":1}\n{"id":2}\n');
    const supervision = "supervision: { intensity: 1, backoffMs: 1, backoffMaxMs: 2 }\n";
    writeFileSync(join(cwd, "graph.yaml"), GRAPH.replace("nodes:", `${supervision}nodes:`));
    const run = await ask("run", "graph.yaml", "--until-done");
    expect(run.code).not.toBe(0);
    expect(run.stderr).toContain(refusal());
  });
});

describe("events of the host", () => {
  /** What version 1 of each was written as. A later version adds a file beside this one. */
  const golden = JSON.parse(
    readFileSync(join(import.meta.dirname, "golden", "host-events-v1.json"), "utf8"),
  ) as Readonly<Record<string, { readonly hex: string; readonly says: unknown }>>;

  const eventOf = (type: string, schemaVersion = 1): RecordedEvent => {
    const payload = Uint8Array.from(Buffer.from(golden[type]?.hex ?? "", "hex"));
    const event = sampleEvent({ type, payload, context: { graph: "g" } });
    return { ...event, schemaVersion, position: 7, stream: "graph/g", revision: 0, timeMs: 0 };
  };

  it.each(Object.keys(golden))("%s of version 1 is read", (type) => {
    expect(describeEvent(eventOf(type))).toEqual(golden[type]?.says);
    expect(() => describeEvent(eventOf(type, 2))).toThrow(`${type} at position 7 has schema version 2`);
  });

  it("mean what they meant", () => {
    const { GraphDeployed, DeadLetterRedriven, DeadLettersSettled, NodeParked } = golden;
    expect(deploymentOf(eventOf("GraphDeployed"))).toEqual(GraphDeployed?.says);
    expect(redrivenOf(eventOf("DeadLetterRedriven"))).toEqual(DeadLetterRedriven?.says);
    expect(deadLetterFact(eventOf("DeadLettersSettled"))).toEqual({
      is: "settled",
      ...(DeadLettersSettled?.says as object),
    });
    expect(graphFact(eventOf("NodeParked"))).toEqual({ type: "NodeParked", ...(NodeParked?.says as object) });
  });
});
