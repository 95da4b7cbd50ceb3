import { type HttpAnswer, reportOf } from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { RegistryClient } from "./registry-client.ts";

const HOUR_MS = 3_600_000;

function answer(status: number, body: unknown): HttpAnswer {
  return { status, headers: {}, body: new TextEncoder().encode(JSON.stringify(body)) };
}

test("a registry that was found to be away is shown as up when it is back, though no schema is needed", async () => {
  const env = virtualEnv("registry");
  let isAway = false;
  const client = new RegistryClient({
    urls: ["http://schemas.example"],
    env,
    http: () => ({
      async request({ url }) {
        if (isAway) throw new Error("refused");
        return url.endsWith("/schemas/types") ? answer(200, ["AVRO"]) : answer(404, { error_code: 40401 });
      },
      close: async () => undefined,
    }),
  });
  expect(await env.until(client.latest("s"))).toBeUndefined();
  isAway = true;
  await env.advance(HOUR_MS + 50);
  expect(client.status).toMatchObject({ state: "backing-off", reason: "refused" });
  await env.advance(60_000);
  expect(client.status.state).toBe("suspended");
  isAway = false;
  await env.advance(20_000);
  expect(client.status).toMatchObject({ state: "up", connects: 2 });
  await client.close();
  await env.idle();
});

test("addresses are tried in order, and nothing of them that may be a secret is shown", async () => {
  const env = virtualEnv("registry");
  const asked: string[] = [];
  const client = new RegistryClient({
    urls: ["http://a/s3cret", "http://a/s3cret/2", "http://u:s3cret@b"],
    env,
    http: () => ({
      async request({ url }) {
        asked.push(url);
        throw new Error("refused");
      },
      close: async () => undefined,
    }),
  });
  const failure = await env.until(client.latest("s").catch(reportOf));
  expect(asked).toEqual(
    ["http://a/s3cret", "http://a/s3cret/2", "http://u:s3cret@b"].map((url) => `${url}/schemas/types`),
  );
  expect(failure).toMatchObject({
    message: expect.stringContaining("http://a: refused; http://a (2): refused; http://b: refused"),
  });
  expect(JSON.stringify([failure, client.status])).not.toContain("s3cret");
  await client.close();
});

/** A registry that answers what `answers` has for the rest of an address, and what was asked. */
function registry(answers: Map<string, HttpAnswer>) {
  const env = virtualEnv("registry");
  const asked: string[] = [];
  const client = new RegistryClient({
    urls: ["http://r"],
    env,
    http: () => ({
      async request({ url }) {
        const path = url.slice("http://r".length);
        if (path !== "/schemas/types") asked.push(path);
        return path === "/schemas/types"
          ? answer(200, ["AVRO"])
          : (answers.get(path) ?? answer(404, { error_code: 40403 }));
      },
      close: async () => undefined,
    }),
  });
  return { env, client, asked };
}

const STRING = answer(200, { schema: '"string"' });

test("an id that a registry does not know is asked for again after a while, and one that it knows never", async () => {
  const answers = new Map<string, HttpAnswer>();
  const { env, client, asked } = registry(answers);
  const code = () =>
    client.codec(7).then(
      () => "found",
      (error: unknown) => reportOf(error).code,
    );
  expect([await code(), await code()]).toEqual(["REGISTRY-UNKNOWN", "REGISTRY-UNKNOWN"]);
  expect(asked).toHaveLength(1);
  expect(client.known(7)).toMatchObject({ code: "REGISTRY-UNKNOWN" });
  answers.set("/schemas/ids/7", STRING);
  await env.advance(10_000);
  expect(client.known(7)).toBeUndefined();
  expect([await code(), await code()]).toEqual(["found", "found"]);
  await env.advance(1_000_000);
  expect(await code()).toBe("found");
  expect(asked).toHaveLength(2);
  await client.close();
});

test("what a schema refers to is found though the registry has deleted it since", async () => {
  const references = [{ name: "b.A", subject: "a", version: 2 }];
  const schema = JSON.stringify({ type: "record", name: "R", fields: [{ name: "a", type: "b.A" }] });
  const referred = { schema: '{"type":"enum","name":"b.A","symbols":["X"]}' };
  const { client } = registry(
    new Map([
      ["/schemas/ids/7", answer(200, { schema, references })],
      ["/subjects/a/versions/2?deleted=true", answer(200, referred)],
    ]),
  );
  expect((await client.codec(7)).decode(Uint8Array.of(0))).toEqual({ a: "X" });
  await client.close();
});
