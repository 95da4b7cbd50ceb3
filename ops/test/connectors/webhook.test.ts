/** A webhook of one graph to a source of another, signed, over a link that is cut. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ErrorReport } from "@millrace/engine";
import { afterEach, expect, test, vi } from "vitest";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { numbers, RunningGraph, WAIT } from "./running-graph.ts";
import { served } from "./served-graph.ts";

const ROWS = 10_000;
/** Pushes after which the next one loses its answer. */
const LOSE_AFTER = [1, 3, 6, 10];
const secretOf = (byte: number): string => `whsec_${Buffer.alloc(32, byte).toString("base64")}`;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Everything that comes, in order. */
async function collector(): Promise<{ readonly port: number; readonly rows: number[] }> {
  const rows: number[] = [];
  const server: Server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => {
      body += part;
    });
    request.on("end", () => {
      rows.push(...(JSON.parse(body) as readonly { readonly n: number }[]).map(({ n }) => n));
      response.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, rows };
}

/** `pushed` is called with the id of each push that comes. */
async function receiver(
  to: number,
  pushed: (id: unknown) => void = () => undefined,
): Promise<{ readonly port: number }> {
  const graph = `name: inbox
nodes:
  in:  { kind: source, from: "http:/in", secret: "\${env:HOOK}" }
  out: { kind: sink, input: in, to: "http://127.0.0.1:${to}/" }
`;
  const running = await RunningGraph.start(graph, undefined, { HOOK: secretOf(1) });
  closing.push(() => running.stop());
  const app = await served(running, {
    token: "senders do not have it",
    asked: (headers) => pushed(headers["webhook-id"]),
  });
  closing.push(() => app.close());
  return app;
}

async function sender(address: string, secret: string, n = ROWS): Promise<RunningGraph> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-webhook-"));
  closing.push(async () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "rows.ndjson");
  writeFileSync(
    path,
    numbers(0, n)
      .map((n) => `{"n":${n}}\n`)
      .join(""),
  );
  const graph = `name: outbox
nodes:
  in:  { kind: source, from: "file:${path}" }
  out: { kind: sink, input: in, to: "http://${address}/api/v1/graphs/inbox/push/in", secret: "\${env:HOOK}" }
`;
  const running = await RunningGraph.start(graph, undefined, { HOOK: secret });
  closing.push(() => running.stop());
  return running;
}

test("pushes whose answers are lost are sent again and taken once, in order", async () => {
  const { port, rows } = await collector();
  const ids: unknown[] = [];
  // The wire is told while the push before is with the server.
  const proxy: TcpProxy = await TcpProxy.to(
    await receiver(port, (id) => {
      ids.push(id);
      if (LOSE_AFTER.includes(ids.length)) proxy.cutAnswerTo("webhook-id");
    }),
  );
  closing.push(() => proxy.close());
  await sender(proxy.address, secretOf(1));
  await vi.waitFor(() => expect(new Set(rows).size).toBe(ROWS), WAIT);
  const again = ids.length - new Set(ids).size;
  console.log(`signed webhook: ${ROWS} messages, ${again} pushes sent again: 0 lost, ${rows.length - ROWS} twice`);
  expect(rows).toEqual(numbers(0, ROWS));
  expect(again).toBeGreaterThanOrEqual(LOSE_AFTER.length);
}, 60_000);

test("a sender with another secret is refused, says why it waits, and loses nothing", async () => {
  const { port, rows } = await collector();
  const target = await receiver(port);
  const running = await sender(`127.0.0.1:${target.port}`, secretOf(2), 10);
  const waiting = (): ErrorReport | undefined =>
    running.status().nodes.find(({ lastError }) => lastError !== undefined && lastError !== null)?.lastError ??
    undefined;
  await vi.waitFor(() => expect(waiting()).toMatchObject({ code: "SINK-FAILED" }), WAIT);
  expect(waiting()?.message).toContain("answered 401: it does not accept the credentials");
  const { connection } = running.status().nodes.find(({ node }) => node === "out") ?? {};
  expect(connection).toMatchObject({
    name: `http://127.0.0.1:${target.port}/api/v1/graphs/inbox/push/in`,
    reason: expect.stringContaining("answered 401: it does not accept the credentials"),
  });
  let said = JSON.stringify(running.status());
  for await (const batch of running.log.read({ from: 0 }))
    for (const { payload } of batch) said += Buffer.from(payload).toString("latin1");
  expect(said).not.toContain(secretOf(2));
  expect(running.status().deadLettered).toBe(0);
  expect(rows).toEqual([]);
}, 60_000);
