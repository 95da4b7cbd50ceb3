import type { FeedReceipt, Json } from "@millrace/engine";
import { describe, expect, test } from "vitest";
import type { MessageIntake } from "../resilience/message-intake.ts";
import type { MqttLink, MqttMessage, MqttReceiver } from "./mqtt-link.ts";
import { topicFeed } from "./topic-feed.ts";

/** A connection, what was acknowledged over it, and a way to say something over it. */
class Link {
  readonly acknowledged: number[] = [];
  granted = 1;
  readonly client = { subscribeAsync: async () => [{ qos: this.granted }] };
  readonly hasSession: boolean;
  readonly ended: Promise<void>;
  end: () => void = () => undefined;
  #isOver = false;
  #receiver: MqttReceiver | undefined;

  constructor(hasSession: boolean) {
    this.hasSession = hasSession;
    this.ended = new Promise((resolve) => {
      this.end = () => {
        this.#isOver = true;
        resolve();
      };
    });
  }

  listen(receiver: MqttReceiver): void {
    this.#receiver = receiver;
  }

  acknowledge(messageId: number): boolean {
    if (!this.#isOver) this.acknowledged.push(messageId);
    return !this.#isOver;
  }

  say(messageId: number, body: string, dup = false): void {
    const message = { topic: "t", payload: Buffer.from(body), qos: 1, retain: false, dup, messageId };
    this.#receiver?.received(message as MqttMessage);
  }
}

function listening() {
  const feed = topicFeed({ filter: "t", qos: 1, envelope: false });
  const taken: string[] = [];
  const receipts: (FeedReceipt | undefined)[] = [];
  const intake = {
    takeBody(body: Uint8Array, _where: string, receipt?: FeedReceipt, _around?: (value: Json) => Json) {
      taken.push(Buffer.from(body).toString());
      receipts.push(receipt);
    },
  } as unknown as MessageIntake;
  const connected = (hasSession = true): Link => {
    const link = new Link(hasSession);
    void feed.listen(link as unknown as MqttLink, intake, () => undefined);
    return link;
  };
  return { taken, settle: (i: number) => receipts[i]?.settle?.(), connected };
}

describe("a message that the broker sends again over the next connection", () => {
  test("is not taken twice while it is on its way to the log, and is acknowledged where it came last", () => {
    const { taken, settle, connected } = listening();
    const first = connected();
    first.say(1, "a");
    first.end();
    const second = connected();
    second.say(1, "a", true);
    expect([taken, second.acknowledged]).toEqual([["a"], []]);
    settle(0);
    expect([first.acknowledged, second.acknowledged]).toEqual([[], [1]]);
  });

  test("is acknowledged at once where it became durable while there was no connection", () => {
    const { taken, settle, connected } = listening();
    const first = connected();
    first.say(1, "a");
    first.end();
    settle(0);
    const second = connected();
    second.say(1, "a", true);
    expect([taken, second.acknowledged]).toEqual([["a"], [1]]);
  });

  test("is another one where the broker gave its number away, or has forgotten the session", () => {
    const { taken, connected } = listening();
    const first = connected();
    first.say(1, "a");
    first.end();
    const second = connected();
    second.say(1, "b", true);
    second.end();
    const third = connected(false);
    third.say(1, "b", true);
    expect(taken).toEqual(["a", "b", "b"]);
  });
});

test("a broker that grants quality of service 0 alone is not listened to where more was asked for", async () => {
  const intake = {} as MessageIntake;
  const link = new Link(true);
  link.granted = 0;
  let isHeard = false;
  const heard = (): void => {
    isHeard = true;
  };
  const asked = topicFeed({ filter: "t", qos: 1, envelope: false });
  await expect(asked.listen(link as unknown as MqttLink, intake, heard)).rejects.toThrow("quality of service 0 only");
  expect(isHeard).toBe(false);
});
