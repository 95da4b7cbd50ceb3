/** What every `Transport` must do. */
import { describe, expect, it } from "vitest";
import type { Delivery, Subscription, Transport } from "../transport/transport.ts";
import { isConnectedAgain } from "./connector/connected-again.ts";

export interface TransportHarness {
  /** Where the tests publish. */
  readonly publisher: Transport;
  /** Where they receive; may be the same. */
  readonly subscriber: Transport;
  /** Messages that a subject holds before publishing waits. */
  readonly capacity: number;
  /** Breaks every connection between the two. Absent when there is none to break. */
  disconnect?(): Promise<void>;
  destroy(): Promise<void>;
}

/** Opens a transport whose subjects hold few messages (`capacity` of 16 or so). */
export type MakeTransport = () => Promise<TransportHarness>;

type Body = (harness: TransportHarness) => Promise<void>;

export function transportContract(name: string, make: MakeTransport): void {
  const withTransport = (body: Body) => async (): Promise<void> => {
    const harness = await make();
    try {
      await body(harness);
    } finally {
      await harness.destroy();
    }
  };

  describe(`${name} is a transport`, () => {
    delivering(withTransport);
    crediting(withTransport);
    answering(withTransport);
    ending(withTransport);
  });
}

type With = (body: Body) => () => Promise<void>;

/** Collects deliveries and lets a test wait for a number of them. */
class Inbox {
  readonly deliveries: Delivery[] = [];
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  readonly receive = (delivery: Delivery): void => {
    this.deliveries.push(delivery);
    for (const { count, resolve } of this.#waiting) if (this.deliveries.length >= count) resolve();
  };

  get bodies(): string[] {
    return this.deliveries.map((d) => Buffer.from(d.body).toString());
  }

  async has(count: number): Promise<void> {
    if (this.deliveries.length < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }
}

const message = (
  text: string,
  headers: Record<string, string> = {},
): { headers: Record<string, string>; body: Uint8Array } => ({
  headers,
  body: Buffer.from(text),
});

/** Ends when whatever was sent before it has arrived: a round trip on a subject of its own. */
async function roundTrip({ publisher, subscriber }: TransportHarness, subject: string): Promise<void> {
  const inbox = new Inbox();
  const subscription = await subscriber.subscribe(subject, inbox.receive, { credit: 1 });
  await publisher.publish(subject, message("."));
  await inbox.has(1);
  inbox.deliveries[0]?.ack();
  await subscription.close();
}

function delivering(withTransport: With): void {
  it(
    "delivers in order what was published, before and after the subscription",
    withTransport(async ({ publisher, subscriber }) => {
      for (const text of ["1", "2", "3"]) await publisher.publish("s", message(text));
      const inbox = new Inbox();
      await subscriber.subscribe("s", inbox.receive, { credit: 100 });
      for (const text of ["4", "5"]) await publisher.publish("s", message(text));
      await inbox.has(5);
      expect(inbox.bodies).toEqual(["1", "2", "3", "4", "5"]);
      expect(inbox.deliveries.every((d) => d.subject === "s" && d.attempt === 1)).toBe(true);
    }),
  );

  it(
    "carries headers and bodies of any size, unchanged",
    withTransport(async ({ publisher, subscriber }) => {
      const inbox = new Inbox();
      await subscriber.subscribe("sübject/☂", inbox.receive, { credit: 10 });
      const headers = { a: "1", "Ü ☂": "\n\0", empty: "" };
      const sizes = [0, 1, 70_000, Math.min(3_000_000, subscriber.bodyBytesMax)];
      for (const size of sizes) {
        const body = Buffer.alloc(size, size % 251);
        await publisher.publish("sübject/☂", { headers, body });
        body.fill(0);
      }
      await inbox.has(sizes.length);
      expect(inbox.deliveries.map((d) => d.body.length)).toEqual(sizes);
      expect(inbox.deliveries.every((d) => d.body.every((byte) => byte === d.body.length % 251))).toBe(true);
      for (const d of inbox.deliveries) expect(d.headers).toEqual(headers);
    }),
  );

  it(
    "keeps subjects apart",
    withTransport(async (harness) => {
      const [a, b] = [new Inbox(), new Inbox()];
      await harness.subscriber.subscribe("a", a.receive, { credit: 10 });
      await harness.subscriber.subscribe("a.b", b.receive, { credit: 10 });
      for (let i = 0; i < 3; i++) {
        await harness.publisher.publish("a", message(`a${i}`));
        await harness.publisher.publish("a.b", message(`b${i}`));
      }
      await a.has(3);
      await b.has(3);
      expect([a.bodies, b.bodies]).toEqual([
        ["a0", "a1", "a2"],
        ["b0", "b1", "b2"],
      ]);
    }),
  );
}

function crediting(withTransport: With): void {
  it(
    "delivers nothing beyond the credit",
    withTransport(async (harness) => {
      const inbox = new Inbox();
      const subscription = await harness.subscriber.subscribe("s", inbox.receive);
      for (let i = 0; i < 6; i++) await harness.publisher.publish("s", message(String(i)));
      await roundTrip(harness, "other1");
      expect(inbox.bodies).toEqual([]);
      subscription.grant(2);
      await inbox.has(2);
      await roundTrip(harness, "other2");
      expect(inbox.bodies).toEqual(["0", "1"]);
      subscription.grant(3);
      subscription.grant(10);
      await inbox.has(6);
      expect(inbox.bodies).toEqual(["0", "1", "2", "3", "4", "5"]);
    }),
  );

  it(
    "makes publishing wait when nobody takes, and go on when somebody does",
    withTransport(async (harness) => {
      const { publisher, subscriber, capacity } = harness;
      let accepted = 0;
      const publishing = (async () => {
        for (let i = 0; i < capacity * 3; i++) {
          await publisher.publish("s", message(String(i)));
          accepted += 1;
        }
      })();
      await roundTrip(harness, "other");
      expect(accepted).toBeLessThanOrEqual(capacity);
      const inbox = new Inbox();
      let subscription: Subscription | undefined;
      subscription = await subscriber.subscribe(
        "s",
        (delivery) => {
          delivery.ack();
          subscription?.grant(1);
          inbox.receive(delivery);
        },
        { credit: 4 },
      );
      subscription.grant(capacity * 3);
      await publishing;
      await inbox.has(capacity * 3);
      expect(inbox.bodies).toEqual(Array.from({ length: capacity * 3 }, (_, i) => String(i)));
    }),
  );
}

function answering(withTransport: With): void {
  it(
    "delivers again what was refused, before what comes later",
    withTransport(async ({ publisher, subscriber }) => {
      const inbox = new Inbox();
      const subscription = await subscriber.subscribe("s", inbox.receive, { credit: 2 });
      for (const text of ["1", "2", "3"]) await publisher.publish("s", message(text));
      await inbox.has(2);
      const [first, second] = inbox.deliveries;
      second?.ack();
      first?.nack();
      first?.ack();
      subscription.grant(5);
      await inbox.has(4);
      expect(inbox.bodies).toEqual(["1", "2", "1", "3"]);
      expect(inbox.deliveries.map((d) => d.attempt)).toEqual([1, 1, 2, 1]);
      first?.ack();
      await subscription.close();
      const next = new Inbox();
      await subscriber.subscribe("s", next.receive, { credit: 5 });
      await next.has(2);
      expect(next.bodies).toEqual(["1", "3"]);
    }),
  );

  it(
    "gives the next subscription what the last one did not answer",
    withTransport(async ({ publisher, subscriber }) => {
      const first = new Inbox();
      const subscription = await subscriber.subscribe("s", first.receive, { credit: 3 });
      for (const text of ["1", "2", "3", "4"]) await publisher.publish("s", message(text));
      await first.has(3);
      first.deliveries[1]?.ack();
      await subscription.close();
      first.deliveries[0]?.ack();
      const second = new Inbox();
      await subscriber.subscribe("s", second.receive, { credit: 10 });
      await second.has(3);
      expect(second.bodies).toEqual(["1", "3", "4"]);
      expect(second.deliveries.map((d) => d.attempt)).toEqual([2, 2, 1]);
    }),
  );

  it(
    "lets a newer subscription replace an older one",
    withTransport(async ({ publisher, subscriber }) => {
      const [old, now] = [new Inbox(), new Inbox()];
      await subscriber.subscribe("s", old.receive, { credit: 10 });
      await subscriber.subscribe("s", now.receive, { credit: 10 });
      await publisher.publish("s", message("1"));
      await now.has(1);
      expect([old.bodies, now.bodies]).toEqual([[], ["1"]]);
    }),
  );

  it(
    "loses nothing when connections break; it may deliver twice",
    withTransport(async (harness) => {
      if (harness.disconnect === undefined) return;
      const seen = new Set<string>();
      const inbox = new Inbox();
      let subscription: Subscription | undefined;
      subscription = await harness.subscriber.subscribe(
        "s",
        (delivery) => {
          inbox.receive(delivery);
          seen.add(Buffer.from(delivery.body).toString());
          delivery.ack();
          subscription?.grant(1);
        },
        { credit: 4 },
      );
      subscription.grant(4);
      for (let i = 0; i < 60; i++) {
        await harness.publisher.publish("s", message(String(i)));
        if (i % 20 === 10) await harness.disconnect();
      }
      for (let count = 1; seen.size < 60; count++) await inbox.has(count);
      const firsts = inbox.deliveries.filter((d) => d.attempt === 1).map((d) => Number(Buffer.from(d.body).toString()));
      expect(firsts).toEqual([...firsts].sort((x, y) => x - y));
    }),
  );

  it(
    "a sender whose connection breaks while it has nothing to send makes another by itself",
    withTransport(async ({ publisher, disconnect }) => {
      if (disconnect === undefined || publisher.connection === undefined) return;
      await publisher.publish("s", message("0"));
      const before = publisher.connection();
      await disconnect();
      await isConnectedAgain(before, publisher.connection.bind(publisher));
    }),
  );
}

function ending(withTransport: With): void {
  it(
    "refuses what is too large",
    withTransport(async ({ publisher }) => {
      const body = new Uint8Array(publisher.bodyBytesMax + 1);
      await expect(publisher.publish("s", { headers: {}, body })).rejects.toMatchObject({
        code: "TRANSPORT-TOO-LARGE",
      });
    }),
  );

  it(
    "fails every call by code once it is closed, waiting ones too",
    withTransport(async ({ publisher, subscriber, capacity }) => {
      const waiting = Promise.allSettled(
        Array.from({ length: capacity + 2 }, (_, i) => publisher.publish("s", message(String(i)))),
      );
      await publisher.close();
      const last = (await waiting).at(-1);
      expect(last).toMatchObject({ status: "rejected", reason: { code: "TRANSPORT-CLOSED" } });
      await expect(publisher.publish("s", message("1"))).rejects.toMatchObject({ code: "TRANSPORT-CLOSED" });
      await publisher.close();
      await subscriber.close();
      await expect(subscriber.subscribe("s", () => undefined)).rejects.toMatchObject({ code: "TRANSPORT-CLOSED" });
    }),
  );
}
