import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Coordination, systemEnv } from "@millrace/engine";
import { coordinationContract, virtualEnv } from "@millrace/engine/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDirectoryCoordination } from "./directory-coordination.ts";
import { EpochFiles } from "./epoch-files.ts";

const freshDir = (): string => mkdtempSync(join(tmpdir(), "millrace-coordination-"));

coordinationContract("coordination over a directory", async () => {
  const dir = freshDir();
  const env = virtualEnv("coordination");
  const opened: Coordination[] = [];
  return {
    ttlMs: 1000,
    seenMs: 100,
    async open() {
      const host = openDirectoryCoordination({
        dir,
        env: env.process(`host-${opened.length}`).env,
        ttlMs: 1000,
        pollMs: 50,
      });
      opened.push(host);
      return host;
    },
    pass: (ms) => env.advance(ms),
    async destroy() {
      for (const host of opened) await host.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});

describe("epoch files", () => {
  let dir: string;
  let drawn = 0;
  const open = (): EpochFiles => new EpochFiles(dir, () => `draft-${drawn++}`);
  beforeEach(() => {
    dir = freshDir();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const bytes = (text: string): Uint8Array => Buffer.from(text);

  it("let a writer that was stopped for long take itself back", () => {
    const files = open();
    for (let epoch = 0; epoch < 5; epoch++) expect(files.write("k", epoch, bytes(String(epoch)))).toBe(true);
    expect(files.write("k", 1, bytes("late"))).toBe(false);
    expect(files.newest("k")).toEqual({ epoch: 5, value: new Uint8Array(bytes("4")) });
    expect(readdirSync(join(dir, "keys", "kk"))).toEqual(["0000000000000005"]);
  });

  it("leave no drafts", () => {
    const files = open();
    files.write("k", 0, bytes("1"));
    files.write("k", 0, bytes("2"));
    expect(readdirSync(join(dir, "drafts"))).toEqual([]);
  });

  it("say by code that the directory cannot be used", () => {
    writeFileSync(join(dir, "file"), "");
    expect(() => openDirectoryCoordination({ dir: join(dir, "file"), env: systemEnv() })).toThrow(
      expect.objectContaining({ code: "COORDINATION-FAILED" }),
    );
  });
});
