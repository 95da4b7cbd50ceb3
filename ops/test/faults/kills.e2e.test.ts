import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { killDemo, killLine } from "./demo-kill.mjs";
import { cutLine, cutPowerOfDemo } from "./demo-power-cut.mjs";
import { DEMO, sliceDemo } from "./demo-run.mjs";
import { isFull, limitMs, tell, times } from "./form.ts";

/** Flights of the short forms: a run takes about as long as its process takes to start. */
const ROWS = 150_000;
const noPower = process.env.MILLRACE_SKIP_LOOP;

describe("kill -9 at random moments", () => {
  it(
    "leaves the demo with the bytes of an uninterrupted run",
    async (context) => {
      const slice = mkdtempSync(join(tmpdir(), "millrace-slice-"));
      try {
        const graph = isFull ? DEMO : await sliceDemo(slice, ROWS);
        const result = await killDemo({ kills: times(3, 200), graph });
        tell(context, killLine(result));
        expect(result.differences).toEqual([]);
        expect(result.kills).toBe(times(3, 200));
        expect(result.rows).toBeGreaterThan(1000);
      } finally {
        rmSync(slice, { recursive: true });
      }
    },
    limitMs(120_000),
  );
});

describe.skipIf(noPower)(`power cuts at random moments${noPower ? ` (skipped: ${noPower})` : ""}`, () => {
  it(
    "leave the demo with the bytes of an uninterrupted run",
    async (context) => {
      const result = await cutPowerOfDemo({ cuts: times(2, 50), ...(isFull ? {} : { rows: ROWS }) });
      tell(context, cutLine(result));
      expect(result.differences).toEqual([]);
      expect(result.cuts).toBe(times(2, 50));
      expect(result.rows).toBeGreaterThan(1000);
    },
    limitMs(120_000),
  );
});
