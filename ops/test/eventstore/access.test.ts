/** Changes need the token, where one is set, as the password of credentials over TLS or as a bearer token. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventStoreDBClient, jsonEvent } from "@eventstore/db-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServedLog, serveLog } from "./served-log.ts";

const TOKEN = "a-token-of-this-test";
const event = jsonEvent({ type: "T", data: { n: 1 } });

describe.skipIf(process.env.MILLRACE_SKIP_OPENSSL)("over TLS", () => {
  let directory: string;
  let served: ServedLog;
  let ca: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-tls-"));
    const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    execFileSync("openssl", [...made, ...subject, "-keyout", key, "-out", cert], { stdio: "ignore" });
    ca = cert;
    const tls = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
    served = await serveLog("memory", { token: TOKEN, tls });
  });
  afterAll(async () => {
    await served.close();
    rmSync(directory, { recursive: true });
  });

  const connect = (credentials: string): InstanceType<typeof EventStoreDBClient> =>
    EventStoreDBClient.connectionString(`esdb://${credentials}localhost:${served.port}?tls=true&tlsCAFile=${ca}`);

  it("takes changes with the token, and says who made them", async () => {
    const client = connect(`zoe:${TOKEN}@`);
    await client.appendToStream("s", event);
    await client.dispose();
    for await (const batch of served.log.readStream("s"))
      expect(batch.map(({ context }) => context.principal)).toEqual(["token:zoe"]);
  });

  it("refuses changes without it or with another, and lets read", async () => {
    for (const credentials of ["", "zoe:wrong@"]) {
      const client = connect(credentials);
      const end = served.log.durableEnd;
      await expect(client.appendToStream("s", event)).rejects.toMatchObject({ type: "access-denied" });
      await expect(client.deleteStream("s")).rejects.toMatchObject({ type: "access-denied" });
      await expect(client.tombstoneStream("s")).rejects.toMatchObject({ type: "access-denied" });
      await expect(client.setStreamMetadata("s", {})).rejects.toMatchObject({ type: "access-denied" });
      expect(served.log.durableEnd).toBe(end);
      let events = 0;
      for await (const _ of client.readStream("s")) events += 1;
      expect(events).toBe(1);
      await client.dispose();
    }
  });

  it("answers HTTP/1.1 on the same port", async () => {
    const options = { host: "127.0.0.1", port: served.port, path: "/health/live", ca: readFileSync(ca) };
    const status = new Promise((resolve, reject) => {
      request(options, (response) => resolve(response.statusCode))
        .on("error", reject)
        .end();
    });
    expect(await status).toBe(204);
  });
});

describe("in clear", () => {
  it("takes the token as a bearer token", async () => {
    const served = await serveLog("memory", { token: TOKEN });
    const session = connectHttp2(`http://${served.address}`);
    const remove = (authorization: string): Promise<unknown> =>
      new Promise((resolve) => {
        const stream = session.request({
          ":method": "POST",
          ":path": "/event_store.client.streams.Streams/Tombstone",
          "content-type": "application/grpc",
          authorization,
        });
        let status: unknown;
        stream.on("response", (head) => {
          status = head["grpc-status"];
        });
        stream.on("trailers", (trailers) => {
          status = trailers["grpc-status"];
        });
        stream.on("close", () => resolve(status));
        stream.resume();
        // Tombstone of stream s, which need not exist.
        stream.end(Buffer.from("00000000090a070a031a01732200", "hex"));
      });
    expect(await remove("Bearer wrong")).toBe("7");
    expect(await remove(`Bearer ${TOKEN}`)).toBe("0");
    session.close();
    await served.close();
  });

  it("lets everybody write while no token is set", async () => {
    const served = await serveLog("memory");
    const client = EventStoreDBClient.connectionString(`esdb://${served.address}?tls=false`);
    await client.appendToStream("s", event);
    await client.dispose();
    await served.close();
  });
});
