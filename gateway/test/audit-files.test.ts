import type { AuditFile } from "@millrace/projections";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testGateway } from "./test-gateway.ts";

const TEXT = "text/plain; charset=utf-8";

describe("files of the audit", () => {
  const asked: string[] = [];
  let app: ReturnType<typeof testGateway>["app"];

  beforeAll(() => {
    const files = new Map<string, AuditFile>([
      ["checkpoint", { bytes: Buffer.from("millrace/log/1\n5\n"), isTile: false }],
      ["verifier-key", { bytes: Buffer.from("millrace/log/1+00\n"), isTile: false }],
      ["tile/0/x001/000", { bytes: Buffer.from("..a tile..").subarray(2, 8), isTile: true }],
      ["tile/0/x001/001.p/7", { bytes: Buffer.from("a partial tile"), isTile: true }],
    ]);
    const audit = {
      read: async (name: string) => {
        asked.push(name);
        return files.get(name);
      },
      tileNames: () => [],
    };
    ({ app } = testGateway({ audit }));
  });
  afterAll(() => app.close());

  const get = async (url: string) => app.inject({ method: "GET", url });

  it.each([
    ["/audit/checkpoint", "millrace/log/1\n5\n", TEXT, "no-cache"],
    ["/audit/verifier-key", "millrace/log/1+00\n", TEXT, "no-cache"],
    ["/audit/tile/0/x001/000", "a tile", "application/octet-stream", "public, max-age=31536000, immutable"],
    ["/audit/tile/0/x001/001.p/7", "a partial tile", "application/octet-stream", "public, max-age=31536000, immutable"],
  ])("%s is served", async (url, body, type, caching) => {
    const answer = await get(url);
    expect([answer.statusCode, answer.body]).toEqual([200, body]);
    expect(answer.headers["content-type"]).toBe(type);
    expect(answer.headers["cache-control"]).toBe(caching);
    const head = await app.inject({ method: "HEAD", url });
    expect([head.statusCode, head.body, head.headers["content-type"]]).toEqual([200, "", type]);
  });

  it.each(["/audit/", "/audit/frontier", "/audit/tile/0/x001/002", "/audit/tile/../checkpoint-of-others"])(
    "%s is not there",
    async (url) => {
      const answer = await get(url);
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toMatchObject({ code: "HTTP-NOT-FOUND" });
    },
  );

  it("are asked for by their name below the address, decoded once", async () => {
    asked.length = 0;
    await get("/audit/%73igning-key.pem");
    await get("/audit/tile/0/..%2f..%2fsigning-key.pem");
    expect(asked).toEqual(["signing-key.pem", "tile/0/../../signing-key.pem"]);
  });

  it.each(["POST", "PUT", "PATCH", "DELETE"] as const)("are only read, not taken by %s", async (method) => {
    const answer = await app.inject({ method, url: "/audit/checkpoint" });
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, "GET, HEAD"]);
    expect(answer.json()).toMatchObject({ code: "HTTP-METHOD" });
  });

  it("are nowhere when there is no tree", async () => {
    const { app: without } = testGateway();
    expect((await without.inject({ method: "GET", url: "/audit/checkpoint" })).statusCode).toBe(404);
    await without.close();
  });
});
