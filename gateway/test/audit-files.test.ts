import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testGateway } from "./test-gateway.ts";

const SECRET = "a secret";

describe("files of the audit", () => {
  let auditDir: string;
  let app: ReturnType<typeof testGateway>["app"];

  beforeAll(() => {
    auditDir = mkdtempSync(join(tmpdir(), "millrace-audit-files-"));
    mkdirSync(join(auditDir, "tile", "0", "x001", "001.p"), { recursive: true });
    const files = {
      checkpoint: "millrace/log/1\n5\n",
      "verifier-key": "millrace/log/1+00\n",
      "signing-key.pem": SECRET,
      "checkpoint.tmp": SECRET,
      frontier: SECRET,
      "tile/0/x001/000": "a tile",
      "tile/0/x001/001.p/7": "a partial tile",
      "tile/0/notes": SECRET,
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(auditDir, name), text);
    ({ app } = testGateway({ auditDir }));
  });
  afterAll(async () => {
    await app.close();
    rmSync(auditDir, { recursive: true });
  });

  const get = async (url: string) => app.inject({ method: "GET", url });

  it.each([
    ["/audit/checkpoint", "millrace/log/1\n5\n", "text/plain; charset=utf-8", "no-cache"],
    ["/audit/verifier-key", "millrace/log/1+00\n", "text/plain; charset=utf-8", "no-cache"],
    ["/audit/tile/0/x001/000", "a tile", "application/octet-stream", "public, max-age=31536000, immutable"],
    ["/audit/tile/0/x001/001.p/7", "a partial tile", "application/octet-stream", "public, max-age=31536000, immutable"],
  ])("%s is served", async (url, body, type, caching) => {
    const answer = await get(url);
    expect([answer.statusCode, answer.body]).toEqual([200, body]);
    expect(answer.headers["content-type"]).toBe(type);
    expect(answer.headers["cache-control"]).toBe(caching);
  });

  it.each([
    "/audit/signing-key.pem",
    "/audit/%73igning-key.pem",
    "/audit//signing-key.pem",
    "/audit/tile/../signing-key.pem",
    "/audit/tile/0/..%2f..%2fsigning-key.pem",
    "/audit/checkpoint.tmp",
    "/audit/frontier",
    "/audit/tile/0/notes",
    "/audit/tile/0/x001/002",
    "/audit/tile/0/",
    "/audit/",
  ])("%s is not", async (url) => {
    const answer = await get(url);
    expect(answer.statusCode).toBeGreaterThanOrEqual(400);
    expect(answer.statusCode).toBeLessThan(500);
    expect(answer.body).not.toContain(SECRET);
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
