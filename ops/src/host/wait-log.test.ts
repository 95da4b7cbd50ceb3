import type { EdgeStatus, GraphStatus, NodeStatus } from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { expect, it } from "vitest";
import { logWaits } from "./wait-log.ts";

const REASON = "CONNECTION-FAILED: cannot connect to nats://a:4222: refused";
const CONNECTION = { name: "nats://a:4222", state: "suspended", endpoint: "a:4222", reason: "refused" };

it("tells what has waited for a while, once, and when it goes on", async () => {
  const env = virtualEnv("wait log");
  const lines: string[] = [];
  let node = { node: "in", state: "running", reason: "" } as NodeStatus;
  let edge = {} as EdgeStatus;
  const graphs = () => [{ graph: "g", nodes: [node], edges: [edge] } as unknown as GraphStatus];
  const end = logWaits(graphs, env, (line) => lines.push(line.replace(/^\S+ /, "")));
  const after = async (ms: number): Promise<readonly string[]> => {
    await env.advance(ms);
    return lines.splice(0);
  };
  expect(await after(5000)).toEqual([]);
  node = { ...node, state: "waiting", reason: REASON };
  expect(await after(2500)).toEqual([]);
  expect(await after(9000)).toEqual([`waiting: g/in: ${REASON}; it is tried again`]);
  node = { ...node, state: "running", reason: "" };
  expect(await after(5000)).toEqual(["goes on: g/in"]);
  edge = { connection: CONNECTION } as EdgeStatus;
  expect(await after(5000)).toEqual([
    "waiting: edges of g: CONNECTION-FAILED: nats://a:4222: refused; it is tried again",
  ]);
  edge = { connection: { ...CONNECTION, state: "up" } } as EdgeStatus;
  expect(await after(5000)).toEqual(["goes on: edges of g"]);
  node = { ...node, connection: CONNECTION } as NodeStatus;
  expect(await after(5000)).toEqual(["waiting: g/in: CONNECTION-FAILED: nats://a:4222: refused; it is tried again"]);
  end();
  node = { ...node, state: "waiting", reason: REASON };
  expect(await after(9000)).toEqual([]);
});

it("says nothing of what waits for a moment", async () => {
  const env = virtualEnv("wait log");
  const lines: string[] = [];
  let state = "waiting";
  const end = logWaits(
    () => [{ graph: "g", nodes: [{ node: "in", state, reason: REASON }], edges: [] } as unknown as GraphStatus],
    env,
    (line) => lines.push(line),
  );
  await env.advance(1500);
  state = "running";
  await env.advance(9000);
  expect(lines).toEqual([]);
  end();
});
