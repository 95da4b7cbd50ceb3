/** What is read for a client ends when the client goes. */
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import type { RecordedEvent } from "@millrace/engine";
import { afterEach, expect, it } from "vitest";
import type { GatewayDeps } from "../src/deps.ts";
import type { NodeStateReader } from "../src/ports.ts";
import { ArrayLog } from "./array-log.ts";
import { FakeProjections } from "./fake-reads.ts";
import { type TestGateway, testGateway } from "./test-gateway.ts";

let gateway: TestGateway | undefined;
afterEach(() => gateway?.app.close());

/** A read that never comes to an end by itself. */
class EndlessRead {
  /** Resolves when it has begun, and when it is over. */
  readonly begun: Promise<void>;
  readonly over: Promise<void>;
  #begin = (): void => undefined;
  #end = (): void => undefined;

  constructor() {
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Of a log: batch after batch, none of which passes a filter. */
  async *batches(): AsyncGenerator<readonly RecordedEvent[]> {
    this.#begin();
    try {
      for (;;) {
        yield [];
        await setImmediate();
      }
    } finally {
      this.#end();
    }
  }

  /** Of who is given a signal. */
  async until(signal: AbortSignal | undefined): Promise<never> {
    this.#begin();
    if (signal !== undefined) await once(signal, "abort");
    this.#end();
    throw signal?.reason;
  }
}

function endlessLog(read: EndlessRead): Partial<GatewayDeps> {
  const log = new ArrayLog();
  log.read = () => read.batches();
  log.readStream = () => read.batches();
  return { log };
}

function endlessProjection(read: EndlessRead): Partial<GatewayDeps> {
  const projections = new FakeProjections();
  projections.set("departures", 30, []);
  projections.query = (_name, _query, signal?: AbortSignal) => read.until(signal);
  return { projections };
}

function endlessStates(read: EndlessRead): Partial<GatewayDeps> {
  const nodeStates: NodeStateReader = {
    at: (_graph, _node, _moment, signal) => read.until(signal),
    diff: (_graph, _node, _from, _to, signal) => read.until(signal),
    changes: (_graph, _node, _field, _limit, signal) => read.until(signal),
  };
  return { nodeStates };
}

it.each<[string, (read: EndlessRead) => Partial<GatewayDeps>]>([
  ["/api/v1/events?type=A,B", endlessLog],
  ["/api/v1/events?streamPrefix=x&direction=forward", endlessLog],
  ["/api/v1/events?stream=s&type=A", endlessLog],
  ["/api/v1/projections/departures?asOf=3", endlessProjection],
  ["/api/v1/graphs/g/nodes/n/state?at=3", endlessStates],
  ["/api/v1/graphs/g/nodes/n/state/diff?from=3", endlessStates],
  ["/api/v1/graphs/g/nodes/n/state/changes?field=f", endlessStates],
])("GET %s ends with its client", async (path, deps) => {
  const read = new EndlessRead();
  gateway = testGateway(deps(read));
  await gateway.app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = gateway.app.server.address() as AddressInfo;
  const client = connect(port, "127.0.0.1");
  client.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
  await read.begun;
  client.destroy();
  await read.over;
  expect(gateway.faults).toEqual([]);
});

it("a connection that answers one request after the other keeps nothing of those that were answered", async () => {
  gateway = testGateway();
  await gateway.app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = gateway.app.server.address() as AddressInfo;
  const [[server], client] = await Promise.all([
    once(gateway.app.server, "connection"),
    Promise.resolve(connect(port, "127.0.0.1")),
  ]);
  const ask = async (): Promise<number> => {
    client.write("GET /api/v1/events?limit=1 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    await once(client, "data");
    return server.listenerCount("close");
  };
  const first = await ask();
  expect([await ask(), await ask(), await ask()]).toEqual([first, first, first]);
  client.destroy();
});
