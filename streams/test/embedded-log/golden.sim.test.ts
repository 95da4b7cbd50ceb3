/**
 * Logs of every format version, kept for ever: each has to open and to read as it was written. `LOG_GOLDEN_WRITE=1` writes
 * the file of the newest version, once, when the version is made.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import type { RecordedEvent } from "@millrace/engine";
import { expect, it } from "vitest";
import { FORMAT_VERSION } from "../../src/embedded/segment-header.ts";
import { DIRECTORY, LogMachine } from "./log-machine.ts";
import { gather, hex, LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";

const FOLDER = new URL("./golden/", import.meta.url);
const SEGMENT_BYTES = 32 * 1024;

interface Golden {
  /** Files of the log, gzip in base64. */
  readonly files: Readonly<Record<string, string>>;
  readonly events: readonly string[];
}

function summary(event: RecordedEvent): string {
  const { context } = event;
  const place = `${event.position} ${event.stream}@${event.revision} ${event.type} v${event.schemaVersion} ${event.timeMs}`;
  const names = `${context.principal}/${context.tenant}/${context.codeVersion}/${context.graph}#${context.graphRevision}/${context.node}!${context.epoch}`;
  return `${place} ${names} ${hex(event.id)} ${hex(context.correlationId)} ${hex(context.causationId)} ${hex(event.payload).slice(0, 64)}`;
}

async function write(): Promise<void> {
  const machine = new LogMachine("golden", { open: { segmentBytes: SEGMENT_BYTES } });
  const workload = new LogWorkload(machine, new LogModel());
  const process = await machine.open();
  for (let i = 0; i < 12; i++) {
    await machine.env.advance(50);
    const streams = i % 3 === 0 ? ["a", "b"] : ["a"];
    const append = streams.map((stream) => ({
      stream,
      expected: "any" as const,
      events: [workload.event(Buffer.alloc(2500, i))],
    }));
    await machine.env.until(process.log.append(append));
  }
  const events = (await machine.env.until(gather(process.log.read()))).map(summary);
  await machine.close(process);
  const files = Object.fromEntries(
    [...machine.disk.image()].map(([path, bytes]) => [path, gzipSync(bytes).toString("base64")]),
  );
  writeFileSync(new URL(`v${FORMAT_VERSION}.json`, FOLDER), `${JSON.stringify({ files, events }, null, 2)}\n`);
}

if (process.env.LOG_GOLDEN_WRITE === "1") await write();

for (const name of readdirSync(FOLDER)) {
  it(`a log of format ${name.replace(".json", "")} opens and reads as it was written`, async () => {
    const golden = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as Golden;
    const machine = new LogMachine("golden reader");
    machine.disk.makeDirectory(DIRECTORY);
    for (const [path, bytes] of Object.entries(golden.files))
      machine.disk.put(path, gunzipSync(Buffer.from(bytes, "base64")));
    const { log } = await machine.open();
    expect((await machine.env.until(gather(log.read()))).map(summary)).toEqual(golden.events);
    expect(golden.events.length).toBeGreaterThan(10);
    expect(log.health.activeSegment).toBeGreaterThan(1);
  });
}

it("the newest format has its golden log", () => {
  expect(readdirSync(FOLDER)).toContain(`v${FORMAT_VERSION}.json`);
});
