/** The HTTP face of a graph that runs in the test's process. */
import type { IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { systemEnv } from "@millrace/engine";
import { buildGateway } from "@millrace/gateway";
import { Registry } from "prom-client";
import type { RunningGraph } from "./running-graph.ts";

export interface ServedGraph {
  /** On the loopback address. */
  readonly port: number;
  close(): Promise<void>;
}

/** `asked` is called with the headers of each request that comes. Changes need `token`, if there is one. */
export async function served(
  { host, log }: RunningGraph,
  { token, asked }: { readonly token?: string; readonly asked?: (headers: IncomingHttpHeaders) => void } = {},
): Promise<ServedGraph> {
  const unused = (): never => {
    throw new Error("this test has none");
  };
  const app = buildGateway({
    host,
    log,
    projections: { list: () => [], query: unused },
    deadLetters: { list: unused, get: unused },
    metrics: new Registry(),
    health: () => ({ checks: [] }),
    env: systemEnv(),
    version: "0",
    ...(token === undefined ? {} : { guard: { token } }),
  });
  app.addHook("onRequest", async ({ headers }) => asked?.(headers));
  await app.listen({ host: "127.0.0.1", port: 0 });
  return { port: (app.server.address() as AddressInfo).port, close: () => app.close().then(() => undefined) };
}
