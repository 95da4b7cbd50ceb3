/** Care of a data directory from the command line: by the host that runs on it, else by this process on its files. */
import { MillraceError, type Mutation, PayloadArchive, systemEnv } from "@millrace/engine";
import { systemDisk } from "@millrace/streams/embedded";
import { opsError } from "../errors.ts";
import { dataDirectory } from "../host/data-directory.ts";
import { requireOwnLog } from "../host/log-place.ts";
import { openStoppedData } from "../host/open-data.ts";
import { exitOnFatal } from "../host/open-host.ts";
import type { LogCare } from "../retention/log-care.ts";
import { OpenLogCare } from "../retention/open-log-care.ts";
import { careOfHost, isRunning } from "./ask-host.ts";
import { machineUser } from "./machine-user.ts";

/** @throws HOST-EMPTY, HOST-REMOTE-LOG, HOST-BUSY, HOST-LOST, HOST-CARE, and what the care throws */
export async function withCare(path: string, use: (care: LogCare) => Promise<void>): Promise<void> {
  const { care: socket } = dataDirectory(path);
  await requireOwnLog(dataDirectory(path), "retention, legal holds and erasure");
  if (await isRunning(socket)) return use(careOfHost(socket));
  const env = systemEnv();
  const data = await openStoppedData({ path, env, onFatal: exitOnFatal }).catch(async (thrown: unknown) => {
    if (!(thrown instanceof MillraceError && thrown.code === "LOG-LOCKED")) throw thrown;
    if (await isRunning(socket)) return undefined;
    throw opsError("HOST-BUSY", `another process has ${path} open and takes no requests`, { cause: thrown });
  });
  if (data === undefined) return use(careOfHost(socket));
  try {
    // Followers begin only when something is asked of them.
    let running: ReturnType<typeof data.project> | undefined;
    const runner = (): ReturnType<typeof data.project> => {
      running ??= data.project([]);
      return running;
    };
    const projections = {
      reached: async (end: number) => (await runner()).reached(end),
      carry: async (end: number) => (await runner()).carry(end),
    };
    const { log, directory } = data;
    const payloads = () => PayloadArchive.open({ disk: systemDisk(), directory: directory.payloads, log });
    await use(new OpenLogCare({ data, env, projections, payloads }));
  } finally {
    await data.close();
  }
}

/** Who asks: the user of this machine, who can write the data directory. */
export function asked(reason: string): Mutation {
  return { principal: machineUser(), reason };
}
