import { type RecordedEvent, type StoredBatch, type StoredRecord, storedRecords } from "@millrace/engine";
import { gather, SimulatedMount, sampleEvents, to } from "@millrace/engine/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { openStoredLog, StoredEvents } from "../../src/embedded/open-stored-log.ts";
import { DIRECTORY, LogMachine, type LogProcess } from "./log-machine.ts";

const APPENDS = 40;
const APPEND_EVENTS = 5;
const END = APPENDS * APPEND_EVENTS;

async function recordsOf(batches: AsyncIterable<StoredBatch>): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  for await (const batch of batches) records.push(...storedRecords(batch).map(copied));
  return records;
}

function copied({ header, payload, ...record }: StoredRecord): StoredRecord {
  return { ...record, header: Buffer.from(header), payload: Buffer.from(payload) };
}

function fieldsOf({ position, stream, revision, type, id, timeMs, payload, context }: RecordedEvent): object {
  const { principal, tenant, codeVersion, graph, node, epoch } = context;
  const names = { principal, tenant, codeVersion, graph, node, epoch };
  return { position, stream, revision, type, id: [...id], timeMs, payload: [...payload], names };
}

describe("records as they are stored", () => {
  let machine: LogMachine;
  let opened: LogProcess;
  let all: readonly StoredRecord[];

  beforeAll(async () => {
    machine = new LogMachine("stored");
    opened = await machine.open();
    for (let i = 0; i < APPENDS; i++) {
      const events = sampleEvents(APPEND_EVENTS, { type: `Type${i % 3}`, payload: Buffer.from(`payload ${i}`) });
      await machine.env.until(opened.log.append(to(`stream-${i % 4}`, events)));
    }
    all = await machine.env.until(recordsOf(opened.log.readStored(0, END)));
  });

  it("are one event a position, after its control records", () => {
    expect(all.filter(({ isControl }) => !isControl).map(({ position }) => position)).toEqual(
      Array.from({ length: END }, (_, i) => i),
    );
    const controls = all.filter(({ isControl }) => isControl);
    expect(controls.length).toBeGreaterThan(1);
    for (const control of controls) expect(all[all.indexOf(control) + 1]?.position).toBe(control.position);
  });

  it("begin and end at any position", async () => {
    for (const [from, to_] of [
      [0, 1],
      [3, 7],
      [99, 101],
      [END - 1, END],
    ] as const) {
      const some = await machine.env.until(recordsOf(opened.log.readStored(from, to_)));
      expect(some).toEqual(all.filter(({ position }) => position >= from && position < to_));
    }
    expect(await machine.env.until(recordsOf(opened.log.readStored(5, 5)))).toEqual([]);
  });

  it("are the same for somebody who has only the files, while the log is open", async () => {
    const files = await machine.env.until(openStoredLog(new SimulatedMount(machine.disk), DIRECTORY));
    expect(files.id).toBe(opened.log.id);
    expect(await machine.env.until(recordsOf(files.readStored(0, END)))).toEqual(all);
    const late = all.filter(({ position }) => position >= 150 && position < 160);
    expect(await machine.env.until(recordsOf(files.readStored(150, 160)))).toEqual(late);
  });

  it("become the events that reads give, once their names are learned", async () => {
    const names = new StoredEvents();
    const made: object[] = [];
    const mount = new SimulatedMount(machine.disk);
    const files = await machine.env.until(openStoredLog(mount, DIRECTORY));
    const reading = async (): Promise<void> => {
      for await (const batch of files.readStored(0, END)) {
        for (const record of storedRecords(batch)) {
          names.learn(record);
          if (!record.isControl) made.push(fieldsOf(names.event(record)));
        }
      }
    };
    await machine.env.until(reading());
    expect(made).toEqual((await machine.env.until(gather(opened.log.read()))).map(fieldsOf));
  });

  it("are followed in whole blocks, until the signal aborts", async () => {
    const abort = new AbortController();
    const ends: number[] = [];
    const following = (async () => {
      for await (const { end, chain } of opened.log.followStored(END - 1, abort.signal)) {
        ends.push(end);
        if (end >= END + 2) expect(chain).toBe(opened.log.witness().chain);
      }
    })();
    await machine.env.advance(50);
    await machine.env.until(opened.log.append(to("stream-0", sampleEvents(2))));
    await machine.env.advance(50);
    expect(ends).toEqual([END, END + 2]);
    abort.abort();
    await machine.env.until(following);
  });

  it("of a directory without a log are refused", async () => {
    const mount = new SimulatedMount(machine.disk);
    await expect(machine.env.until(openStoredLog(mount, "/nowhere"))).rejects.toMatchObject({ code: "LOG-MANIFEST" });
  });
});
