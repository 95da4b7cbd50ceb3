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
/** What the other end accepted. */
let accepted: Json[] = [];

beforeAll(async () => {
  child = spawn(process.execPath, [PROGRAM], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  port = Number(await new Promise<string>((first) => lines.once("line", first)));
  lines.on("line", (line) => accepted.push(JSON.parse(line) as Json));
});
afterAll(() => child?.kill());

async function sinkTo(target: string): Promise<SinkConnector> {
  accepted = [];
  const address = parseAmqp10Address(`//127.0.0.1:${port}/queue/${target}`, "sink");
  if ("fault" in address) throw new Error(address.fault);
  const sink = amqp10Sink(address, env, { id: "g/out", policy: QUICK });
  onTestFinished(() => sink.close());
  await sink.open(undefined);
  return sink;
}

/** What was accepted while the sink had ended the link already comes twice. */
const has = (messages: readonly Json[]): Promise<void> =>
  vi.waitFor(() => expect([...new Set(accepted)]).toEqual(messages), WAIT);

test.each([
  ["rejects", "the broker rejects a message for rejects: amqp:not-allowed: it is bad"],
  ["rejects-silently", "the broker rejects a message for rejects-silently: it does not say why"],
])(
  "a message that is rejected by %s is not sent again: a node makes it a dead letter, with the reason",
  async (target, message) => {
    const sink = await sinkTo(target);
    const refusal = await sink.deliver([slice(0, ["a", "bad", "b"])]).catch(reportOf);
    expect(refusal).toMatchObject({ code: "AMQP10-REJECTED", kind: "rejected", message, details: { address: target } });
    await has(["a", "b"]);
    // Without it, what was accepted before is not sent again by the same incarnation.
    await sink.deliver([slice(0, ["a"])]);
    await sink.deliver([slice(2, ["b", "c"])]);
    await has(["a", "b", "c"]);
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
  await has(["a", "b"]);
  expect(await deliver()).toBeNull();
  await has(["a", "b", "bad"]);
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
  await has(["y"]);
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
  await has(["y"]);
});
