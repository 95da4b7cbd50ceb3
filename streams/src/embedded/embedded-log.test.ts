import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { eventLogContract } from "@millrace/engine/testing";
import { memoryOrderedStore } from "@millrace/streams/memory";
import type { EmbeddedLog } from "./embedded-log.ts";
import { openEmbeddedLog } from "./open-embedded-log.ts";
import { systemDisk } from "./system-disk.ts";

const SEGMENT_BYTES = 4 * 1024 * 1024;

eventLogContract("the embedded log", async () => {
  const directory = await mkdtemp(join(tmpdir(), "millrace-log-"));
  const indexStore = memoryOrderedStore();
  const open = (): Promise<EmbeddedLog> =>
    openEmbeddedLog({
      directory,
      disk: systemDisk(),
      env: systemEnv(),
      indexStore,
      segmentBytes: SEGMENT_BYTES,
      indexLingerMs: 1,
      streamsKept: 2,
    });
  let log = await open();
  return {
    log,
    reopen: async () => {
      await log.close();
      log = await open();
      return log;
    },
    destroy: async () => {
      await log.close();
      await rm(directory, { recursive: true });
    },
  };
});
