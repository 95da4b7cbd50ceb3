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
