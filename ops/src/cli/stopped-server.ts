/** A server over the files of a stopped one: everything can be asked, nothing runs. */
import { type Env, MillraceError, systemEnv } from "@millrace/engine";
import { buildGateway } from "@millrace/gateway";
import { Registry } from "prom-client";
import { opsError } from "../errors.ts";
import { dataDirectory } from "../host/data-directory.ts";
import { SYSTEM } from "../host/graph-stream.ts";
import type { HostData } from "../host/host-data.ts";
import { logAddress } from "../host/log-address.ts";
import { remotePlace } from "../host/log-place.ts";
import { openStoppedData } from "../host/open-data.ts";
import { exitOnFatal, openHost } from "../host/open-host.ts";
import { openRemoteData } from "../host/open-remote-data.ts";
import { ProjectionTables } from "../host/projection-tables.ts";
import { gatewayReads } from "./gateway-reads.ts";

/** @throws HOST-EMPTY, HOST-RUNNING, HOST-LOG, and what a log in EventStoreDB refuses */
export async function openStopped(
  path: string,
): Promise<{ app: ReturnType<typeof buildGateway>; close: () => Promise<void> }> {
  const env = systemEnv();
  const data = await stoppedData(path, env).catch((thrown: unknown) => {
    if (!(thrown instanceof MillraceError && thrown.code === "LOG-LOCKED")) throw thrown;
    throw opsError("HOST-RUNNING", `a running server has ${path}`, { cause: thrown });
  });
  const opened = await openHost({
    data,
    env,
    hostName: "stopped",
    graphs: [],
    tables: new ProjectionTables(),
    by: SYSTEM,
    untilDone: true,
    report: () => undefined,
  });
  await opened.projections.reached(data.log.durableEnd);
  const app = buildGateway({
    ...gatewayReads(opened, data, env),
    metrics: new Registry(),
  });
  const close = async (): Promise<void> => {
    await app.close();
    await opened.close("read only");
  };
  return { app, close };
}

/** A log in EventStoreDB is the one that the environment names: a directory remembers no password. */
async function stoppedData(path: string, env: Env): Promise<HostData> {
  const address = process.env.MILLRACE_LOG;
  if (address === undefined || (await remotePlace(dataDirectory(path))) === undefined)
    return openStoppedData({ path, env, onFatal: exitOnFatal });
  return openRemoteData({ path, env, log: logAddress(address) });
}
