import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Delivery, systemEnv } from "@millrace/engine";
import { transportContract } from "@millrace/engine/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SocketAddress } from "./socket-address.ts";
import { openSocketTransport, type SocketTransport } from "./socket-transport.ts";
import { encodePacket, type Packet, PacketReader } from "./wire.ts";

const env = systemEnv();
const loopback: SocketAddress = { host: "127.0.0.1", port: 0 };

/** Forwards connections to a target, and cuts them when told. */
async function cuttableWire(
  target: () => SocketAddress,
): Promise<{ address: SocketAddress; cut(): void; close(): void }> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target());
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        open.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: "127.0.0.1", port },
    cut,
    close() {
      cut();
      server.close();
    },
  };
}

transportContract("the socket transport over TCP", async () => {
  const wire = await cuttableWire(() => publisher.address);
  const options = { env, capacity: 16, bodyBytesMax: 4_000_000, listen: loopback, addressOf: () => wire.address };
  const publisher: SocketTransport = await openSocketTransport(options);
  const subscriber = await openSocketTransport(options);
  return {
    publisher,
    subscriber,
    capacity: 16,
    disconnect: async () => wire.cut(),
    async destroy() {
      await subscriber.close();
      await publisher.close();
      wire.close();
    },
  };
});

transportContract("the socket transport over Unix sockets", async () => {
  const dir = mkdtempSync(join(tmpdir(), "millrace-socket-"));
  const options = { env, capacity: 16, bodyBytesMax: 4_000_000, addressOf: () => ({ path: join(dir, "publisher") }) };
  const publisher = await openSocketTransport({ ...options, listen: { path: join(dir, "publisher") } });
  const subscriber = await openSocketTransport({ ...options, listen: { path: join(dir, "subscriber") } });
  return {
    publisher,
    subscriber,
    capacity: 16,
    async destroy() {
      await subscriber.close();
      await publisher.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});

describe("the socket transport", () => {
  it("receives from a publisher that comes later", async () => {
    const dir = mkdtempSync(join(tmpdir(), "millrace-socket-"));
    const path = join(dir, "publisher");
    const subscriber = await openSocketTransport({ env, listen: loopback, addressOf: () => ({ path }) });
    const arrived = new Promise<Delivery>((resolve) => void subscriber.subscribe("s", resolve, { credit: 1 }));
    const publisher = await openSocketTransport({ env, listen: { path }, addressOf: () => ({ path }) });
    await publisher.publish("s", { headers: {}, body: Buffer.from("late") });
    expect(Buffer.from((await arrived).body).toString()).toBe("late");
    await subscriber.close();
    await publisher.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it("hangs up on a peer that talks nonsense, and serves the others", async () => {
    const transport = await openSocketTransport({ env, listen: loopback, addressOf: () => transport.address });
    const nonsense = [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([0, 0, 0, 1, 99]),
      Buffer.from([0, 0, 0, 2, 1, 0]),
      Buffer.concat([...encodePacket({ is: "credit", credit: 5 })]),
    ];
    for (const bytes of nonsense) {
      const { host, port } = transport.address as { host: string; port: number };
      const socket = connect({ host, port });
      socket.on("error", () => undefined);
      socket.write(bytes);
      await new Promise<void>((resolve) => socket.on("close", () => resolve()));
    }
    const arrived = new Promise<Delivery>((resolve) => void transport.subscribe("s", resolve, { credit: 1 }));
    await transport.publish("s", { headers: {}, body: Buffer.from("ok") });
    expect((await arrived).attempt).toBe(1);
    await transport.close();
  });

  it("ends though the other end says nothing any more", async () => {
    const silent = createServer({ allowHalfOpen: true }, (socket) => socket.resume().on("error", () => undefined));
    const subscribed = new Promise<Socket>((resolve) =>
      silent.on("connection", (socket) => socket.once("data", () => resolve(socket))),
    );
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const address: SocketAddress = { host: "127.0.0.1", port };
    const transport = await openSocketTransport({ env, listen: loopback, addressOf: () => address });
    await transport.subscribe("s", () => undefined, { credit: 1 });
    const socket = await subscribed;
    await transport.close();
    socket.destroy();
    silent.close();
  });

  /** Takes longer than a receiver waits before it dials again. */
  const MANY = 5000;

  it("tells a receiver in another process that it was replaced, so that the two do not take turns", async () => {
    const publisher = await openSocketTransport({ env, listen: loopback, addressOf: () => publisher.address });
    const addressOf = (): SocketAddress => publisher.address;
    const [a, b] = [
      await openSocketTransport({ env, listen: loopback, addressOf }),
      await openSocketTransport({ env, listen: loopback, addressOf }),
    ];
    const got: string[] = [];
    const take = (name: string, resolve: () => void) => (delivery: Delivery) => {
      got.push(`${name}${Buffer.from(delivery.body)}`);
      delivery.ack();
      resolve();
    };
    await new Promise<void>((resolve) => {
      void a.subscribe("s", take("a", resolve), { credit: 100 });
      void publisher.publish("s", { headers: {}, body: Buffer.from("1") });
    });
    let arrivals = 0;
    await new Promise<void>((resolve) => {
      const all = (): void => void (++arrivals === MANY && resolve());
      void b.subscribe("s", take("b", all), { credit: MANY * 2 }).then(async () => {
        while (got.every((line) => line.startsWith("a"))) {
          await publisher.publish("s", { headers: {}, body: Buffer.from("x") });
          await new Promise<void>((next) => setImmediate(next));
        }
        for (let i = 0; i < MANY; i++) await publisher.publish("s", { headers: {}, body: Buffer.from(String(i)) });
      });
    });
    const firstOfB = got.findIndex((line) => line.startsWith("b"));
    expect(got.slice(firstOfB).every((line) => line.startsWith("b"))).toBe(true);
    for (const transport of [a, b, publisher]) await transport.close();
  });
});

describe("packets", () => {
  const packet: fc.Arbitrary<Packet> = fc.oneof(
    fc.record({ is: fc.constant("subscribe" as const), credit: fc.nat(), subject: fc.string({ unit: "grapheme" }) }),
    fc.record({ is: fc.constant("credit" as const), credit: fc.nat() }),
    fc.record({
      is: fc.constant("answer" as const),
      sequence: fc.maxSafeNat(),
      attempt: fc.nat(),
      taken: fc.boolean(),
    }),
    fc.record({
      is: fc.constant("message" as const),
      sequence: fc.maxSafeNat(),
      attempt: fc.nat(),
      headers: fc.dictionary(fc.oneof(fc.constant("__proto__"), fc.string()), fc.string(), { noNullPrototype: true }),
      body: fc.uint8Array({ maxLength: 300 }),
    }),
    fc.constant({ is: "replaced" as const }),
  );

  it("come back whole however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        (packets, cuts) => {
          const stream = Buffer.concat(packets.flatMap((p) => [...encodePacket(p)]));
          const reader = new PacketReader(100_000);
          const read: Packet[] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const end = at + (cuts[i % cuts.length] as number);
            read.push(...reader.read(stream.subarray(at, end)));
            at = end;
          }
          expect(JSON.stringify(read)).toBe(JSON.stringify(packets));
        },
      ),
    );
  });
});
