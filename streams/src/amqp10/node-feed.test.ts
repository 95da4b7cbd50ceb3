/** What a queue's feed makes of a broker that sends too much. With real brokers: ops/test/connectors/amqp10.test.ts. */
import type { AddressInfo, Server } from "node:net";
import { parseAmqp10Address, systemEnv } from "@millrace/engine";
import rhea, { type EventContext, type Sender } from "rhea";
import { expect, onTestFinished, test, vi } from "vitest";
import { amqp10Feed } from "./amqp10-connectors.ts";

const WAIT = { timeout: 45_000, interval: 5 };
const PREFETCH = 10;

/** Known to the client's code, not to its types. */
type Credited = Sender & { credit: number };

/** A broker that sends half as much again as it first has credit for. */
class GenerousBroker {
  readonly credits: number[] = [];
  readonly #container = rhea.create_container();
  #sender: Sender | undefined;

  async listen(): Promise<number> {
    // It says so to the console, which is no use here.
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    this.#container.on("sender_open", ({ sender }: EventContext) => sender?.set_source(sender.source));
    this.#container.on("sender_flow", ({ sender }: EventContext) => {
      if (sender === undefined) return;
      const credited = sender as Credited;
      this.credits.push(credited.credit);
      if (this.#sender !== undefined) return;
      this.#sender = sender;
      credited.credit *= 1.5;
      this.send(credited.credit);
    });
    const server: Server = this.#container.listen({ port: 0, host: "127.0.0.1" });
    await new Promise<void>((listening) => server.once("listening", listening));
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  }

  send(count: number): void {
    for (let i = 0; i < count; i++) this.#sender?.send({ body: "1" });
  }
}

test("what a broker sends beyond its credit is not given again as credit", async () => {
  const broker = new GenerousBroker();
  const address = parseAmqp10Address(`//127.0.0.1:${await broker.listen()}/queue/q?prefetch=${PREFETCH}`, "source");
  if ("fault" in address) throw new Error(address.fault);
  const stopping = new AbortController();
  const settles: (() => void)[] = [];
  const unused = (): never => {
    throw new Error("a queue hands over messages");
  };
  const running = amqp10Feed(address, systemEnv(), { id: "g/in" }).run(
    {
      cursor: undefined,
      take: (_, receipt) => void settles.push(receipt?.settle ?? unused),
      takeGroup: unused,
      reject: unused,
      lose: unused,
    },
    stopping.signal,
  );
  onTestFinished(async () => {
    stopping.abort();
    await running;
  });
  await vi.waitFor(() => expect(settles).toHaveLength(1.5 * PREFETCH), WAIT);
  for (const settle of settles) settle();
  await vi.waitFor(() => expect(broker.credits.length).toBeGreaterThan(1), WAIT);
  expect(broker.credits).toEqual([PREFETCH, PREFETCH]);
});
