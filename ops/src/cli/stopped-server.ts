/** A server over the files of a stopped one: everything can be asked, nothing runs. */
import { MillraceError, systemEnv } from "@millrace/engine";
import { buildGateway } from "@millrace/gateway";
import { Registry } from "prom-client";
import { opsError } from "../errors.ts";
import { deadLetterReader } from "../host/dead-letters.ts";
import { describeEvent } from "../host/describe-event.ts";
import { SYSTEM } from "../host/graph-stream.ts";
import { NodeStates } from "../host/node-states.ts";
import { openStoppedData } from "../host/open-data.ts";
import { exitOnFatal, openHost } from "../host/open-host.ts";
import { ProjectionTables } from "../host/projection-tables.ts";
import { VERSION } from "../version.ts";

/** @throws HOST-EMPTY, HOST-RUNNING */
export async function openStopped(
  path: string,
): Promise<{ app: ReturnType<typeof buildGateway>; close: () => Promise<void> }> {
  const env = systemEnv();
  const data = await openStoppedData({ path, env, onFatal: exitOnFatal }).catch((thrown: unknown) => {
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
    host: opened.host,
    log: data.log,
    projections: opened.projections,
    deadLetters: deadLetterReader(opened.projections),
    nodeStates: new NodeStates({ log: data.log, snapshots: data.snapshots, env }),
    metrics: new Registry(),
    health: opened.health,
    env,
    version: VERSION,
    describeEvent,
    reveal: data.keys.reveal,
  });
  const close = async (): Promise<void> => {
    await app.close();
    await opened.close("read only");
  };
  return { app, close };
}
