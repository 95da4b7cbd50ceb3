/** A wall clock that jumps, by libfaketime; the monotonic clock goes on as it does. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, millrace } from "../millrace.ts";
import { finishDemo, resultOf, sliceDemo } from "./demo-run.mjs";
import { limitMs } from "./form.ts";
import { eventually, GraphFolder } from "./graph-folder.ts";

const skipped = process.env.MILLRACE_SKIP_FAKETIME;
const ROWS = 150_000;

/** The preload of Debian's package, which lies in a folder per architecture. */
function library(): string {
  const paths = readdirSync("/usr/lib").map((name) => join("/usr/lib", name, "faketime", "libfaketimeMT.so.1"));
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new Error("libfaketime is not where Debian puts it");
  return found;
}

describe.skipIf(skipped)(
  `a clock that jumps by an hour, forth and back${skipped ? ` (skipped: ${skipped})` : ""}`,
  () => {
    let root: string;
    let offsets: string;
    const env = (): NodeJS.ProcessEnv => ({
      LD_PRELOAD: library(),
      FAKETIME_TIMESTAMP_FILE: offsets,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    });
    const jump = (by: string): void => writeFileSync(offsets, `${by}\n`);

    beforeAll(() => {
      root = mkdtempSync(join(tmpdir(), "millrace-clock-"));
      offsets = join(root, "offset");
      jump("+0");
    });
    afterAll(() => rmSync(root, { recursive: true }));

    it(
      "changes nothing in the result of the demo",
      async () => {
        const graph = await sliceDemo(join(root, "demo"), ROWS);
        await finishDemo(graph, join(root, "reference"));
        const folder = new GraphFolder({});
        try {
          const server = await folder.serve([graph], env());
          for (const by of ["+1h", "-1h", "+0"]) {
            const before = (await server.status("late-flights")).messagesIn;
            jump(by);
            await eventually(async () => {
              const { messagesIn, state } = await server.status("late-flights");
              expect(state === "finished" || messagesIn > before).toBe(true);
            });
          }
          await server.reaches("late-flights", "finished");
          expect((await server.stop()).code).toBe(0);
          expect(await resultOf(folder.data)).toEqual(await resultOf(join(root, "reference")));
        } finally {
          folder.remove();
        }
      },
      limitMs(90_000),
    );

    it(
      "lets timers go on, numbers events without gaps and never lets their time run backwards",
      async () => {
        const folder = new GraphFolder({
          "graph.yaml": `name: ticks
nodes:
  in:  { kind: source, from: "metronome:100ms" }
  out: { kind: sink, input: in, to: "projection:ticks" }
`,
        });
        try {
          const server = await folder.serve(["graph.yaml"], env());
          for (const by of ["+1h", "-1h", "+0"]) {
            const before = (await server.status("ticks")).messagesOut;
            jump(by);
            await eventually(async () =>
              expect((await server.status("ticks")).messagesOut).toBeGreaterThan(before + 3),
            );
          }
          await eventually(async () => expect((await server.health()).status).toBe("ok"));
          expect((await server.stop()).code).toBe(0);
          const args = ["events", "ls", "--forward", "--limit", "1000", "--json", "--data", folder.data];
          const { events } = lastJson((await millrace(args)).stdout) as {
            readonly events: readonly { readonly position: number; readonly timeMs: number }[];
          };
          expect(events.map(({ position }) => position)).toEqual(events.map((_, i) => i));
          const times = events.map(({ timeMs }) => timeMs);
          expect(times).toEqual(times.toSorted((a, b) => a - b));
        } finally {
          folder.remove();
        }
      },
      limitMs(60_000),
    );
  },
);
