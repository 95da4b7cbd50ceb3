import type { EdgeStatus, GraphStatus, NodeStatus } from "@millrace/engine";
import { expect, it } from "vitest";
import { waitNews } from "./wait-log.ts";

const REASON = "CONNECTION-FAILED: cannot connect to nats://a:4222: refused";
const CONNECTION = { name: "nats://a:4222", state: "suspended", endpoint: "a:4222", reason: "refused" };

it("tells what has waited for a while, once, and when it goes on", () => {
  let node = { node: "in", state: "running", reason: "" } as NodeStatus;
  let edge = {} as EdgeStatus;
  const look = waitNews(() => [{ graph: "g", nodes: [node], edges: [edge] } as unknown as GraphStatus]);
  const after = (looks: number): readonly string[] => Array.from({ length: looks }, look).flat();
  expect(after(5)).toEqual([]);
  node = { ...node, state: "waiting", reason: REASON };
  expect(after(2)).toEqual([]);
  expect(after(9)).toEqual([`waiting: g/in: ${REASON}; it is tried again`]);
  node = { ...node, state: "running", reason: "" };
  expect(after(5)).toEqual(["goes on: g/in"]);
  edge = { connection: CONNECTION } as EdgeStatus;
  expect(after(5)).toEqual(["waiting: edges of g: CONNECTION-FAILED: nats://a:4222: refused; it is tried again"]);
  edge = { connection: { ...CONNECTION, state: "up" } } as EdgeStatus;
  expect(after(5)).toEqual(["goes on: edges of g"]);
  node = { ...node, connection: CONNECTION } as NodeStatus;
  expect(after(5)).toEqual(["waiting: g/in: CONNECTION-FAILED: nats://a:4222: refused; it is tried again"]);
});

it("says nothing of what waits for a moment", () => {
  let state = "waiting";
  const look = waitNews(() => [
    { graph: "g", nodes: [{ node: "in", state, reason: REASON }], edges: [] } as unknown as GraphStatus,
  ]);
  expect([look(), look()].flat()).toEqual([]);
  state = "running";
  expect([look(), look()].flat()).toEqual([]);
});
