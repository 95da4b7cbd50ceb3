/** The HTTP server of a session. Only who is given a port loads it, and the gateway with it. */
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Env, graphSchema, type JsonObject, messageOf } from "@millrace/engine";
import { buildGateway } from "@millrace/gateway";
import { auditFiles } from "@millrace/projections";
import { systemDisk } from "@millrace/streams/embedded";
import { Registry } from "prom-client";
import { opsError } from "../errors.ts";
import { reservedStreams } from "../host/event-store.ts";
import type { HostData } from "../host/host-data.ts";
import type { HostPayloads } from "../host/host-payloads.ts";
import { registerLogMetrics } from "../host/log-metrics.ts";
import { LOOPBACK } from "../host/loopback.ts";
import type { OpenedHost } from "../host/open-host.ts";
import { registerPayloadMetrics } from "../host/payload-metrics.ts";
import { registerWitnessMetrics } from "../host/witness-metrics.ts";
import { gatewayReads } from "./gateway-reads.ts";

export interface HttpServerOptions {
  readonly opened: OpenedHost;
  readonly data: HostData;
  /** 0: any free one. */
  readonly port: number;
  readonly env: Env;
  readonly payloads: HostPayloads;
}

/** @throws HOST-PORT */
export async function openHttpServer({
  opened,
  data,
  port,
  env,
  payloads,
}: HttpServerOptions): Promise<{ readonly url: string; close(): Promise<void> }> {
  const token = process.env.MILLRACE_TOKEN;
  const metrics = new Registry();
  registerPayloadMetrics(metrics, payloads);
  registerLogMetrics(metrics, data);
  if (data.cosigning !== undefined) registerWitnessMetrics(metrics, data.cosigning);
  const app = buildGateway({
    ...gatewayReads(opened, data, env),
    metrics,
    hostName: hostname(),
    isReserved: reservedStreams(opened.host),
    // TypeBox schemas are JSON.
    graphSchema: graphSchema as unknown as JsonObject,
    consoleDir: consoleDirectory(),
    ...(data.audit === undefined ? {} : { audit: auditFiles(systemDisk(), data.directory.audit, data.log.id) }),
    ...(token === undefined ? {} : { guard: { token } }),
    report: (thrown, correlationId) => void process.stderr.write(`${correlationId} ${messageOf(thrown)}\n`),
  });
  try {
    const url = await app.listen({ host: LOOPBACK, port });
    return { url, close: () => app.close() };
  } catch (cause) {
    throw opsError("HOST-PORT", `port ${port} cannot be used: ${messageOf(cause)}`, { cause });
  }
}

function consoleDirectory(): string {
  const entry = fileURLToPath(import.meta.resolve("@millrace/gateway"));
  return join(dirname(dirname(entry)), "dist-console");
}
