/** What an AMQP 1.0 sink does when the other end refuses messages: a listener in a process of its own, as brokers refuse seldom. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Json, parseAmqp10Address, reportOf, type SinkConnector, systemEnv } from "@millrace/engine";
import { amqp10Sink } from "@millrace/streams/amqp10";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { QUICK, slice, WAIT } from "./running-graph.ts";

const env = systemEnv();
const PROGRAM = join(import.meta.dirname, "judges/refuser.mjs");
const LINK_BYTES_MAX = 1000;

let child: ChildProcess;
let port: number;
/** What the other end accepted, by its addresses: a message that comes twice may do so when the test is over. */
const accepted = new Map<string, Json[]>();

beforeAll(async () => {
  child = spawn(process.execPath, [PROGRAM], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  port = Number(await new Promise<string>((first) => lines.once("line", first)));
  lines.on("line", (line) => {
    const { address, message } = JSON.parse(line) as { readonly address: string; readonly message: Json };
    accepted.set(address, [...(accepted.get(address) ?? []), message]);
  });
});
afterAll(() => child?.kill());

async function sinkTo(target: string): Promise<SinkConnector> {
  const address = parseAmqp10Address(`//127.0.0.1:${port}/queue/${target}`, "sink");
  if ("fault" in address) throw new Error(address.fault);
  const sink = amqp10Sink(address, env, { id: "g/out", policy: QUICK });
  onTestFinished(() => sink.close());
  await sink.open(undefined);
  return sink;
}

/** What was accepted while the sink had ended the link already comes twice. */
const has = (target: string, messages: readonly Json[]): Promise<void> =>
  vi.waitFor(() => expect([...new Set(accepted.get(target))]).toEqual(messages), WAIT);

test.each([
  ["rejects", "the broker rejects a message for rejects: amqp:not-allowed: it is bad"],
  ["rejects-silently", "the broker rejects a message for rejects-silently: it does not say why"],
])(
  "a message that is rejected by %s is not sent again: a node makes it a dead letter, with the reason",
  async (target, message) => {
    const sink = await sinkTo(target);
    const refusal = await sink.deliver([slice(0, ["a", "bad", "b"])]).catch(reportOf);
    expect(refusal).toMatchObject({ code: "AMQP10-REJECTED", kind: "rejected", message, details: { address: target } });
    await has(target, ["a", "b"]);
    // Without it, what was accepted before is not sent again by the same incarnation.
    await sink.deliver([slice(0, ["a"])]);
    await sink.deliver([slice(2, ["b", "c"])]);
    await has(target, ["a", "b", "c"]);
  },
);

test("a message that is given back is a failure for a while, and is sent again until it is accepted, alone", async () => {
  const sink = await sinkTo("gives-back");
  const deliver = (): Promise<unknown> => sink.deliver([slice(0, ["a", "bad", "b"])]).catch(reportOf);
  for (let attempt = 0; attempt < 2; attempt++)
    expect(await deliver()).toMatchObject({
      code: "AMQP10-RELEASED",
      kind: "transient",
      message: "the broker gave a message for gives-back back",
      details: { address: "gives-back" },
    });
  await has("gives-back", ["a", "b"]);
  expect(await deliver()).toBeNull();
  await has("gives-back", ["a", "b", "bad"]);
});

test("a message that is longer than the link takes is not sent, and others go on", async () => {
  const sink = await sinkTo("small");
  const refusal = await sink.deliver([slice(0, ["x".repeat(LINK_BYTES_MAX)])]).catch(reportOf);
  expect(refusal).toMatchObject({
    code: "AMQP10-TOO-LARGE",
    kind: "rejected",
    message: expect.stringMatching(/^a message of 1\d\d\d bytes is longer than 1000, which the broker takes$/),
    details: { address: "small" },
  });
  await sink.deliver([slice(1, ["y"])]);
  await has("small", ["y"]);
});

test("a link that is closed over the size of a message refuses that message, and the sink goes on over another", async () => {
  const sink = await sinkTo("closes");
  const refusal = await sink.deliver([slice(0, ["bad"])]).catch(reportOf);
  expect(refusal).toMatchObject({
    code: "AMQP10-TOO-LARGE",
    kind: "rejected",
    message: "amqp:link:message-size-exceeded: no more than this",
  });
  await sink.deliver([slice(1, ["y"])]);
  await has("closes", ["y"]);
});
