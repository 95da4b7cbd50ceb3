/** What the gateway reads of an opened host, whether it runs or only its files are there. */
import type { Env } from "@millrace/engine";
import type { GatewayDeps } from "@millrace/gateway";
import { deadLetterReader } from "../host/dead-letters.ts";
import { describeEvent } from "../host/describe-event.ts";
import type { HostData } from "../host/host-data.ts";
import { NodeStates } from "../host/node-states.ts";
import type { OpenedHost } from "../host/open-host.ts";
import { VERSION } from "../version.ts";

export function gatewayReads(opened: OpenedHost, { log, snapshots, keys }: HostData, env: Env) {
  return {
    host: opened.host,
    log,
    projections: opened.projections,
    deadLetters: deadLetterReader(opened.projections),
    nodeStates: new NodeStates({ log, snapshots, env }),
    health: opened.health,
    env,
    version: VERSION,
    describeEvent,
    ...(keys === undefined ? {} : { reveal: keys.reveal }),
  } satisfies Partial<GatewayDeps>;
}
