import { expect, test } from "vitest";
import { virtualEnv } from "../testing/virtual-env.ts";
import { Circuit } from "./circuit.ts";

function setUp() {
  const env = virtualEnv("circuit");
  return { env, circuit: new Circuit({ failuresMax: 3, waitMs: 1000 }, env.clock) };
}

test("opens with the last failure in a row that is allowed, and a success starts the count anew", () => {
  const { circuit } = setUp();
  circuit.failed();
  circuit.failed();
  circuit.succeeded();
  circuit.failed();
  circuit.failed();
  expect([circuit.state, circuit.failures, circuit.leftMs]).toEqual(["closed", 2, 0]);
  circuit.failed();
  expect([circuit.state, circuit.failures, circuit.leftMs]).toEqual(["open", 3, 1000]);
});

test("the attempt after the wait decides alone", async () => {
  const { env, circuit } = setUp();
  circuit.open();
  await env.advance(999);
  expect([circuit.state, circuit.leftMs]).toEqual(["open", 1]);
  await env.advance(1);
  expect([circuit.state, circuit.leftMs]).toEqual(["half-open", 0]);
  circuit.failed();
  expect([circuit.state, circuit.leftMs]).toEqual(["open", 1000]);
  await env.advance(1000);
  circuit.succeeded();
  expect([circuit.state, circuit.failures]).toEqual(["closed", 0]);
});

test("stays open as long as the other end wants to be left alone", () => {
  const { circuit } = setUp();
  for (let i = 0; i < 3; i++) circuit.failed(5000);
  expect(circuit.leftMs).toBe(5000);
});
