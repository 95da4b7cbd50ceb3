/** Events that are published to Millrace: acknowledged once durable, taken once by their ids. */
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import {
  type Feed,
  type FeedReceipt,
  type GrpcListenAddress,
  type Json,
  parseGrpcListenAddress,
  systemEnv,
} from "@millrace/engine";
import { feedContract } from "@millrace/engine/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { INTAKE_PROTO, type IntakeFeedOptions, intakeFeed, serviceMethod } from "../../src/grpc/mod.ts";

const env = systemEnv();
const WAIT = { timeout: 45_000, interval: 5 };
const QUICK = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 50 };
const METHOD = serviceMethod({ text: INTAKE_PROTO, imported: () => undefined }, "millrace.v1.Intake", "Publish", {
  description: {},
  address: {},
});

async function freeAddress(): Promise<GrpcListenAddress> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  const parsed = parseGrpcListenAddress(`//127.0.0.1:${port}`);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

const feedOf = (address: GrpcListenAddress, options: IntakeFeedOptions = {}): Feed =>
  intakeFeed(address, env, { policy: QUICK, ...options });

const asTheyAre = (bytes: Buffer): Buffer => bytes;

/** Publishes events until each is acknowledged; those that were not, again over the next call. */
class Publisher {
  readonly acks: Json[] = [];
  readonly errors: string[] = [];
  readonly #client: Client;
  readonly #open = new Map<string, Buffer>();
  #call: ClientDuplexStream<Buffer, Buffer> | undefined;
  #next = 0;
  #isClosed = false;
  #isReading = true;

  constructor({ endpoints: [endpoint = ""] }: GrpcListenAddress) {
    this.#client = new Client(endpoint, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 100,
      "grpc.use_local_subchannel_pool": 1,
    });
    this.#connect();
  }

  /** Whether it reads what is acknowledged. */
  reads(isReading: boolean): void {
    this.#isReading = isReading;
    if (isReading) this.#call?.resume();
    else this.#call?.pause();
  }

  publish(rows: readonly Json[], idChars = 0): void {
    for (const data of rows) {
      const id = String(this.#next++).padStart(idChars, "0");
      const bytes = METHOD.request.encode({ id, data });
      this.#open.set(id, bytes);
      this.#call?.write(bytes);
    }
  }

  write(bytes: Buffer): void {
    this.#call?.write(bytes);
  }

  finish(): void {
    this.#call?.end();
  }

  close(): void {
    this.#isClosed = true;
    this.#call?.cancel();
    this.#client.close();
  }

  #connect(): void {
    const call = this.#client.makeBidiStreamRequest(METHOD.path, asTheyAre, asTheyAre);
    this.#call = call;
    call.on("data", (bytes: Buffer) => {
      const { id } = METHOD.answer.decode(bytes) as { readonly id: string };
      this.acks.push(id);
      this.#open.delete(id);
    });
    call.on("error", ({ details }: { readonly details: string } & Error) => this.errors.push(details));
    call.on("status", () => {
      if (this.#isClosed) return;
      env.timers.after(20, () => this.#isClosed || this.#connect());
    });
    if (!this.#isReading) call.pause();
    for (const bytes of this.#open.values()) call.write(bytes);
  }
}

feedContract(
  "an intake",
  async () => {
    const address = await freeAddress();
    const publisher = new Publisher(address);
    return {
      connect: (unsettledMax) => feedOf(address, { unsettledMax }),
      send: async (bodies) => publisher.publish(bodies.map((body) => JSON.parse(body) as Json)),
      close: async () => publisher.close(),
    };
  },
  { jsonOnly: true, settlesInOrder: true },
);

/** A feed that runs; nothing is durable before the test says so. */
class Running {
  readonly taken: { readonly message: Json; readonly receipt: FeedReceipt }[] = [];
  readonly feed: Feed;

  constructor(feed: Feed) {
    this.feed = feed;
    const stopping = new AbortController();
    const unused = (): never => {
      throw new Error("an intake only takes");
    };
    const intake = {
      cursor: undefined,
      take: (message: Json, receipt: FeedReceipt = {}) => void this.taken.push({ message, receipt }),
      takeGroup: unused,
      reject: unused,
      lose: unused,
    };
    const running = feed.run(intake, stopping.signal);
    onTestFinished(async () => {
      stopping.abort();
      await running;
    });
  }
}

async function publisherOf(address: GrpcListenAddress): Promise<Publisher> {
  const publisher = new Publisher(address);
  onTestFinished(() => publisher.close());
  return publisher;
}

describe("an intake", () => {
  test("serves what the published description says", () => {
    const published = readFileSync(join(import.meta.dirname, "../../../engine/schemas/intake.proto"), "utf8");
    expect(published.replaceAll(/^ *\/\/.*\n/gm, "")).toBe(INTAKE_PROTO);
  });

  test("acknowledges in order, what is durable only, and ends a call once all of it is", async () => {
    const address = await freeAddress();
    const { taken } = new Running(feedOf(address));
    const publisher = await publisherOf(address);
    publisher.publish([1, "zwei", null, { a: [true] }]);
    await vi.waitFor(() => expect(taken.map(({ message }) => message)).toEqual([1, "zwei", null, { a: [true] }]), WAIT);
    publisher.finish();
    taken[1]?.receipt.settle?.();
    taken[0]?.receipt.settle?.();
    await vi.waitFor(() => expect(publisher.acks).toEqual(["0", "1"]), WAIT);
    taken[3]?.receipt.settle?.();
    taken[2]?.receipt.settle?.();
    await vi.waitFor(() => expect(publisher.acks).toEqual(["0", "1", "2", "3"]), WAIT);
  });

  test("refuses what is no event, and takes nothing of it", async () => {
    const address = await freeAddress();
    const { taken, feed } = new Running(feedOf(address));
    await vi.waitFor(() => expect(feed.connection().state).toBe("up"), WAIT);
    const publisher = await publisherOf(address);
    publisher.write(Buffer.from([0x0a, 0x7f]));
    await vi.waitFor(() => expect(publisher.errors.join()).toContain("an event is no millrace.v1.Event"), WAIT);
    expect(taken).toEqual([]);
    publisher.write(METHOD.request.encode({ id: "", data: 7 }));
    publisher.publish([8]);
    await vi.waitFor(() => expect(taken.at(-1)).toMatchObject({ message: 8, receipt: { id: "0" } }), WAIT);
  });

  test("takes nothing that was on its way behind an event that it refused", async () => {
    const address = await freeAddress();
    const { taken, feed } = new Running(feedOf(address, { unsettledMax: 10 }));
    await vi.waitFor(() => expect(feed.connection().state).toBe("up"), WAIT);
    const publisher = await publisherOf(address);
    const write = (data: number): void => publisher.write(METHOD.request.encode({ id: `w${data}`, data }));
    for (let data = 0; data < 10; data++) write(data);
    await vi.waitFor(() => expect(taken).toHaveLength(10), WAIT);
    // The call is held: these wait together until it is not.
    write(10);
    publisher.write(Buffer.from([0x0a, 0x7f]));
    write(11);
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    for (const { receipt } of taken.slice(0, 5)) receipt.settle?.();
    await vi.waitFor(() => expect(publisher.errors.join()).toContain("an event is no millrace.v1.Event"), WAIT);
    for (const { receipt } of taken.slice(5)) receipt.settle?.();
    publisher.publish([12]);
    await vi.waitFor(() => expect(taken.at(-1)?.message).toBe(12), WAIT);
    expect(taken.map(({ message }) => message)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]);
  });

  test("takes little more of a sender that does not read its acknowledgements, and all of it once it does", async () => {
    const address = await freeAddress();
    const running = new Running(feedOf(address));
    const publisher = new Publisher(address);
    onTestFinished(() => publisher.close());
    publisher.reads(false);
    const [count, idChars] = [300, 2000];
    publisher.publish(
      Array.from({ length: count }, (_, i) => i),
      idChars,
    );
    let settled = 0;
    const settle = (): void => {
      for (; settled < running.taken.length; settled++) running.taken[settled]?.receipt.settle?.();
    };
    const until = env.clock.monotonic() + 500;
    await vi.waitFor(() => {
      settle();
      expect(env.clock.monotonic()).toBeGreaterThan(until);
    }, WAIT);
    expect(running.taken.length).toBeLessThan(count);
    publisher.reads(true);
    await vi.waitFor(() => {
      settle();
      expect(publisher.acks).toHaveLength(count);
    }, WAIT);
    expect(running.taken.map(({ message }) => message)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test("gives up a sender that does not answer any more", async () => {
    const address = await freeAddress();
    const { feed } = new Running(feedOf(address, { policy: { ...QUICK, probeEveryMs: 20 } }));
    await vi.waitFor(() => expect(feed.connection().state).toBe("up"), WAIT);
    const sender = connect(Number(address.endpoints[0]?.split(":")[1]), "127.0.0.1");
    onTestFinished(() => void sender.destroy());
    // What a client of HTTP/2 begins with; and then nothing, whatever it is asked.
    sender.write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0", "latin1"));
    sender.resume();
    sender.on("error", () => undefined);
    await new Promise((closed) => sender.once("close", closed));
  });

  test("a port that is taken is waited for, with the reason", async () => {
    const address = await freeAddress();
    const port = Number(address.endpoints[0]?.split(":")[1]);
    const other = createServer().listen(port, "127.0.0.1");
    await new Promise((listening) => other.once("listening", listening));
    const { feed, taken } = new Running(feedOf(address));
    await vi.waitFor(() => expect(feed.connection().reason).toMatch(/EADDRINUSE|address already in use/), WAIT);
    await new Promise((closed) => other.close(closed));
    const publisher = await publisherOf(address);
    publisher.publish([1]);
    await vi.waitFor(() => expect(taken).toHaveLength(1), WAIT);
  });
});
