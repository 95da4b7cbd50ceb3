/** The transport over JetStream against real servers. */
import { systemEnv } from "@millrace/engine";
import { transportContract } from "@millrace/engine/testing";
import { natsTransport } from "@millrace/streams/nats";
import { afterAll, beforeAll, describe } from "vitest";
import { natsServers, startNats } from "../../services/nats-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";

const env = systemEnv();
const servers = natsServers();
const CAPACITY = 16;

describe.skipIf(servers.length === 0)("edges over NATS", () => {
  for (const kind of servers) {
    describe(kind.binary.includes("v2") ? "a newer server" : "Debian's server", () => {
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
    });
  }
});
