/** A log of its own, served over the EventStoreDB protocol on a free port of the loopback address. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Env, type EventLog, systemEnv } from "@millrace/engine";
import { type EventStoreEndpointOptions, eventStoreEndpoint } from "@millrace/gateway";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { memoryEventLog, memoryOrderedStore } from "@millrace/streams/memory";
import { sparseLog } from "./sparse-log.ts";

export const LOGS = ["memory", "embedded"] as const;
export type LogKind = (typeof LOGS)[number];

export interface ServedLog {
  readonly log: EventLog;
  readonly port: number;
  /** `host:port`. */
  readonly address: string;
  /** Closes the endpoint and the log, and opens both again over what was stored, at the same port; with an index made again if asked. */
  reopened(index?: "made again"): Promise<ServedLog>;
  close(): Promise<void>;
}

export interface ServeOptions extends Partial<Omit<EventStoreEndpointOptions, "log" | "version">> {
  /** Of the log in memory; default its own. */
  readonly logAppendBytesMax?: number;
  /** Of the log on disk. */
  readonly segmentBytes?: number;
  /** Of the log in memory: with gaps, as those of EventStoreDB. Default: without. */
  readonly positions?: "sparse";
}

const SEGMENT_BYTES = 4 * 1024 * 1024;
const machine = systemEnv();

export async function serveLog(kind: LogKind, options: ServeOptions = {}): Promise<ServedLog> {
  const env: Env = options.env ?? machine;
  const { logAppendBytesMax: appendBytesMax } = options;
  const limits = appendBytesMax === undefined ? {} : { appendBytesMax };
  if (kind === "memory") {
    const log = memoryEventLog({ env, ...limits });
    return serve(options.positions === "sparse" ? sparseLog(log) : log, options, undefined, async () => {});
  }
  const directory = await mkdtemp(join(tmpdir(), "millrace-eventstore-"));
  let indexStore = memoryOrderedStore();
  const open = (index?: "made again"): Promise<EventLog> => {
    if (index !== undefined) indexStore = memoryOrderedStore();
    return openEmbeddedLog({
      directory,
      disk: systemDisk(),
      env,
      indexStore,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      indexLingerMs: 1,
      // Fewer than clients use, so that the log lets go of streams all the time.
      streamsKept: 4,
    });
  };
  return serve(await open(), options, open, () => rm(directory, { recursive: true }));
}

/** @param open opens what the log stored again; a volatile log stays as it is */
async function serve(
  log: EventLog,
  options: ServeOptions,
  open: ((index?: "made again") => Promise<EventLog>) | undefined,
  remove: () => Promise<void>,
  wanted = 0,
): Promise<ServedLog> {
  const endpoint = eventStoreEndpoint({ env: machine, ...options, log, version: "test" });
  const port = await endpoint.listen(wanted);
  return {
    log,
    port,
    address: `127.0.0.1:${port}`,
    reopened: async (index) => {
      await endpoint.close();
      if (open === undefined) return serve(log, options, open, remove, port);
      await log.close();
      return serve(await open(index), options, open, remove, port);
    },
    close: async () => {
      await endpoint.close();
      await log.close();
      await remove();
    },
  };
}
