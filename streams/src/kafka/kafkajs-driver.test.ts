import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { systemEnv } from "@millrace/engine";
import { afterEach, expect, it } from "vitest";
import { FETCH_KEY, FETCH_VERSION } from "./fetch-request.ts";
import { kafkajsDriver } from "./kafkajs-driver.ts";
import { METADATA_KEY, METADATA_VERSION } from "./metadata-request.ts";

const API_VERSIONS = 18;
const INIT_PRODUCER_ID = 22;
const COORDINATOR_LOADING = 14;
const NEW_PRODUCER = 7n;

let broker: Server | undefined;
afterEach(() => broker?.close());

/** A broker that knows two requests, and answers those for a producer's id with these errors, one after the other. */
async function brokerOf(errors: number[]): Promise<string> {
  const server = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const request = received.subarray(4, 4 + received.readInt32BE(0));
        received = received.subarray(4 + request.length);
        const body = request.readInt16BE(0) === API_VERSIONS ? versions() : producer(errors.shift() ?? 0);
        socket.write(Buffer.concat([int32(4 + body.length), request.subarray(4, 8), body]));
      }
    });
  });
  broker = server;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function versions(): Buffer {
  const known = [
    [METADATA_KEY, METADATA_VERSION],
    [FETCH_KEY, FETCH_VERSION],
    [API_VERSIONS, 2],
    [INIT_PRODUCER_ID, 0],
  ];
  const each = known.flatMap(([key = 0, most = 0]) => [int16(key), int16(0), int16(most)]);
  return Buffer.concat([int16(0), int32(known.length), ...each, int32(0)]);
}

function producer(error: number): Buffer {
  const id = Buffer.alloc(8);
  id.writeBigInt64BE(NEW_PRODUCER);
  return Buffer.concat([int32(0), int16(error), id, int16(0)]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

it("asks for a producer's id again while the broker is still loading what it keeps", async () => {
  const errors = [COORDINATOR_LOADING, COORDINATOR_LOADING];
  const driver = kafkajsDriver({ tls: false }, systemEnv());
  const client = await driver.connect(await brokerOf(errors), new AbortController().signal);
  expect(await client.identify()).toEqual({ id: String(NEW_PRODUCER), epoch: 0 });
  expect(errors).toEqual([]);
  client.close();
});
