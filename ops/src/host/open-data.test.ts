import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { sampleEvent, to } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { openData } from "./open-data.ts";

test("the audit tree holds appends back while more records than may wait are not signed", async () => {
  const path = mkdtempSync(join(tmpdir(), "millrace-tree-lag-"));
  const onFatal = (error: Error): never => {
    throw error;
  };
  const data = await openData({ path, env: systemEnv(), onFatal, treeLagMax: 0 });
  try {
    await expect(data.log.append(to("a", sampleEvent()))).rejects.toMatchObject({
      code: "LOG-LAG",
      details: { follower: "audit tree" },
    });
    expect(data.lags()).toEqual({ index: 0, "audit tree": 0 });
  } finally {
    await data.close();
    rmSync(path, { recursive: true });
  }
});
