/** A log whose sealed segments can be archived: what tests of archive, prune and scrub begin with. */
import { createHash } from "node:crypto";
import { type RecordedEvent, type StoredRecords, storedRecords } from "@millrace/engine";
import { loadZstd } from "../../src/compression/zstd.ts";
import type { ArchivedRange, ArchiveOptions } from "../../src/embedded/log-retention.ts";
import { LogMachine, type LogMachineOptions, type LogProcess } from "./log-machine.ts";
import { hex, LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";

// Loading takes real time, which a simulated machine does not wait for.
await loadZstd();

/** Leaves that need nothing of the tree: one hash over everything that belongs to the position. */
export async function leavesOf(records: StoredRecords): Promise<Uint8Array> {
  const leaves: Buffer[] = [];
  let hash = createHash("sha256");
  for (const { header, payload, isControl } of storedRecords(records)) {
    hash.update(header).update(payload);
    if (isControl) continue;
    leaves.push(hash.digest());
    hash = createHash("sha256");
  }
  return Buffer.concat(leaves);
}

export const ARCHIVE_ALL: ArchiveOptions = {
  beforeMs: Number.POSITIVE_INFINITY,
  signedEnd: Number.POSITIVE_INFINITY,
  leavesOf,
  checkLeaves: async () => undefined,
  pause: async () => undefined,
};

export class ArchivedLog {
  readonly machine: LogMachine;
  readonly model = new LogModel();
  readonly workload: LogWorkload;
  process!: LogProcess;

  constructor(seed: string | number, options: LogMachineOptions = {}) {
    this.machine = new LogMachine(seed, options);
    this.workload = new LogWorkload(this.machine, this.model);
  }

  /** Opens a log and appends to it until segment `active` takes blocks; everything is indexed. */
  static async make(seed: string | number, active = 4, options: LogMachineOptions = {}): Promise<ArchivedLog> {
    const made = new ArchivedLog(seed, options);
    await made.open();
    await made.fill(active);
    return made;
  }

  async open(): Promise<void> {
    this.process = await this.machine.open();
  }

  async reopen(): Promise<void> {
    await this.machine.close(this.process);
    await this.open();
  }

  async fill(active: number): Promise<void> {
    for (let i = 0; this.process.log.health.activeSegment < active; i++)
      await this.append([`stream-${i % 3}`, "all"].slice(0, 1 + (i % 2)), 5000);
    await this.machine.env.until(this.process.log.indexed());
    // The manifest lists a seal behind the roll.
    await this.machine.env.advance(200);
  }

  async append(streams: readonly string[], bytes: number): Promise<void> {
    await this.machine.env.advance(50);
    const payload = this.machine.env.random.bytes(bytes);
    const parts = streams.map((stream) => ({
      stream,
      expected: "any" as const,
      events: [this.workload.event(payload)],
    }));
    const number = this.model.ask(parts);
    this.model.acknowledge(number, await this.until(this.process.log.append(parts)));
  }

  archive(options: Partial<ArchiveOptions> = {}): Promise<ArchivedRange> {
    return this.until(this.process.log.retention.archive({ ...ARCHIVE_ALL, ...options }));
  }

  async check(): Promise<readonly string[]> {
    await this.until(this.model.check(this.process.log));
    return this.model.violations;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.machine.env.until(promise);
  }

  archived(serial: number, kind: "zst" | "parquet" | "leaves"): string {
    return `/log/archive/${String(serial).padStart(10, "0")}.${kind}`;
  }
}

export function placesOf(events: readonly RecordedEvent[]): string[] {
  return events.map(
    ({ position, stream, revision, type, timeMs, id, payload }) =>
      `${position} ${stream}@${revision} ${type} ${timeMs} ${hex(id)} ${hex(payload)}`,
  );
}
