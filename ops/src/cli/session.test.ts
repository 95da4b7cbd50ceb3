import { expect, it, vi } from "vitest";

vi.mock("@millrace/gateway", () => {
  throw new Error("the gateway was loaded");
});

it("a session loads the gateway only for who is given a port", async () => {
  await expect(import("./session.ts")).resolves.toHaveProperty("openSession");
  await expect(import("./http-server.ts")).rejects.toThrow();
});
