/** The transport over JetStream against real servers. */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { systemEnv, type Transport } from "@millrace/engine";
import { transportContract } from "@millrace/engine/testing";
import { natsTransport } from "@millrace/streams/nats";
import { connect, type StreamAPI } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { natsServers, startNats } from "../../services/nats-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";

const env = systemEnv();
const servers = natsServers();
const CAPACITY = 16;

describe.skipIf(servers.length === 0)("edges over NATS", () => {
  for (const kind of servers) {
    describe(kind.binary.includes("v2") ? "a newer server" : "Debian's server", () => {
      const isNewer = kind.binary.includes("v2");
      let server: ServerProcess;
      let count = 0;
      beforeAll(async () => {
        server = await startNats(kind);
      });
      afterAll(() => server?.stop());

      transportContract("the NATS transport", async () => {
        const wire = await TcpProxy.to(server);
        const name = `T${++count}`;
        const policy = { backoffMs: 5, backoffMaxMs: 20 };
        const options = {
          env,
          servers: { endpoints: [wire.address], policy },
          stream: name,
          prefix: name,
          capacity: CAPACITY,
        };
        const publisher = natsTransport(options);
        const subscriber = natsTransport(options);
        return {
          publisher,
          subscriber,
          capacity: CAPACITY,
          async disconnect() {
            wire.cut();
            wire.mend();
          },
          async destroy() {
            await subscriber.close();
            await publisher.close();
            await wire.close();
          },
        };
      });

      it("takes over what another process left, also when the server is away at first", async () => {
        const name = `T${++count}`;
        const wire = await TcpProxy.to(server);
        const open = (address: string): Transport =>
          natsTransport({
            env,
            servers: { endpoints: [address], policy: { backoffMs: 5, backoffMaxMs: 20, suspendMs: 20 } },
            stream: name,
            prefix: name,
          });
        const before = open(server.address);
        for (const text of ["1", "2", "3"]) await before.publish("s", { headers: {}, body: Buffer.from(text) });
        await new Promise<void>((resolve) => void before.subscribe("s", () => resolve(), { credit: 1 }));
        await before.close();
        wire.cut();
        const after = open(wire.address);
        const got: string[] = [];
        const all = new Promise<void>((resolve) => {
          void after.subscribe(
            "s",
            (delivery) => {
              delivery.ack();
              if (got.push(Buffer.from(delivery.body).toString()) === 3) resolve();
            },
            { credit: 3 },
          );
        });
        await expect.poll(() => after.connection?.().failures).toBeGreaterThan(1);
        wire.mend();
        await all;
        expect(got).toEqual(["1", "2", "3"]);
        await after.close();
        await wire.close();
      });

      const open = (name: string, address = server.address): Transport =>
        natsTransport({ env, servers: { endpoints: [address] }, stream: name, prefix: name });
      /** What a transport delivered, and acknowledged, of a subject. */
      const received = async (transport: Transport) => {
        const got: string[] = [];
        let wake: () => void = () => undefined;
        await transport.subscribe(
          "s",
          (delivery) => {
            delivery.ack();
            got.push(Buffer.from(delivery.body).toString());
            wake();
          },
          { credit: 20 },
        );
        const has = (n: number): Promise<void> =>
          new Promise((resolve) => {
            wake = () => got.length >= n && resolve();
            wake();
          });
        return { got, has };
      };
      const send = async (transport: Transport, from: number, to: number): Promise<void> => {
        for (let i = from; i < to; i++) await transport.publish("s", { headers: {}, body: Buffer.from(String(i)) });
      };
      const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));
      /** An acknowledgement that came later would be one of the new stream's: whoever sent that message sends it again, but not here. */
      const taken = (streams: StreamAPI, name: string) =>
        expect.poll(async () => (await streams.info(name)).state.messages).toBe(0);

      it("goes on over a stream that was deleted and made anew, whose sequences begin again", async () => {
        const name = `T${++count}`;
        const transport = open(name);
        const { got, has } = await received(transport);
        await send(transport, 0, 5);
        await has(5);
        const nc = await connect({ servers: server.address });
        const { streams } = await nc.jetstreamManager();
        await taken(streams, name);
        await streams.delete(name);
        await nc.close();
        await send(transport, 5, 10);
        await has(10);
        expect(got).toEqual(numbers(10));
        await transport.close();
      });

      it("loses nothing of a stream that is made anew while it takes the subject over", async () => {
        const name = `T${++count}`;
        const wire = await TcpProxy.to(server);
        const transport = open(name, wire.address);
        const { got, has } = await received(transport);
        await send(transport, 0, 5);
        await has(5);
        const nc = await connect({ servers: server.address });
        const { streams } = await nc.jetstreamManager();
        await taken(streams, name);
        const { met, free } = wire.keepBack(`CONSUMER.DELETE.${name}`);
        wire.snap();
        await met;
        await streams.delete(name);
        await nc.close();
        const other = open(name);
        await send(other, 5, 10);
        free();
        await has(10);
        expect(got).toEqual(numbers(10));
        await transport.close();
        await other.close();
        await wire.close();
      });

      // Without its folder, a stream of 2.9.10 may still take messages and give none.
      it.skipIf(!isNewer)(
        "makes a stream anew whose folder is gone, as of one that was made while the server deleted another",
        async () => {
          const name = `T${++count}`;
          const transport = open(name);
          const { got, has } = await received(transport);
          const nc = await connect({ servers: server.address });
          const { streams } = await nc.jetstreamManager();
          const consumers = async (): Promise<number> => (await streams.info(name)).state.consumer_count;
          await expect.poll(() => consumers().catch(() => 0)).toBe(1);
          renameSync(join(server.directory, "jetstream", "$G", "streams", name), join(server.directory, "gone"));
          await nc.close();
          await send(transport, 0, 5);
          await has(5);
          expect(got).toEqual(numbers(5));
          await transport.close();
        },
      );

      it("drops a second message with the same id, and what is no message at all", async () => {
        const name = `T${++count}`;
        const transport = open(name);
        const send = (text: string, id?: string): Promise<void> => {
          const headers: Record<string, string> = id === undefined ? {} : { "message-id": id };
          return transport.publish("s", { headers, body: Buffer.from(text) });
        };
        for (const id of ["a", "b", "a"]) await send(id, id);
        const nc = await connect({ servers: server.address });
        await nc.jetstream().publish(`${name}.s`, "by hand");
        await nc.close();
        await send("end");
        const got: string[] = [];
        await new Promise<void>((resolve) => {
          void transport.subscribe(
            "s",
            (delivery) => {
              delivery.ack();
              got.push(Buffer.from(delivery.body).toString());
              if (got.at(-1) === "end") resolve();
            },
            { credit: 10 },
          );
        });
        expect(got).toEqual(["a", "b", "end"]);
        await transport.close();
      });
    });
  }
});
