/** What comes out of the last of some queues while the graph between them, or its process, fails. */
import { expect, vi } from "vitest";
import { GraphFolder } from "../faults/graph-folder.ts";
import { start } from "../millrace.ts";
import type { Amqp10Client, Drained } from "./amqp10-client.ts";
import { numbers } from "./running-graph.ts";

/** Only what hangs takes so long. */
const WAIT = { timeout: 120_000, interval: 20 };

export interface LastQueue {
  readonly client: Amqp10Client;
  readonly queue: string;
  /** Which the sink gave: what it sends again has the same. */
  readonly idOf: (message: Drained) => string;
}

/** Takes what the queue has until all of `0 … count-1` were there besides what `came` before, and counts. */
export async function outcome({ client, queue, idOf }: LastQueue, came: Drained[], count: number): Promise<string> {
  await vi.waitFor(async () => {
    await client.drain(queue, came);
    expect(new Set(came.map(({ data }) => data)).size).toBe(count);
  }, WAIT);
  const values = new Set(came.map(({ data }) => Number(data)));
  expect([...values].sort((a, b) => a - b)).toEqual(numbers(0, count));
  // Another id means that a source took a message twice.
  const inEffect = new Set(came.map(idOf)).size - count;
  expect(inEffect).toBe(0);
  return `${count - values.size} lost, ${came.length - count} came twice, ${inEffect} twice in effect`;
}

/** Runs a graph file in a process that is killed `kills` times while `count` messages, which wait in its first queue, pass. */
export async function outcomeOfKilled(last: LastQueue, text: string, count: number, kills: number): Promise<string> {
  const folder = new GraphFolder({ "graph.yaml": text });
  const run = () => start(["run", "graph.yaml", "--json", "--port", "0", "--data", folder.data], { cwd: folder.path });
  let running = run();
  const came: Drained[] = [];
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await vi.waitFor(async () => {
        await last.client.drain(last.queue, came);
        expect(new Set(came.map(({ data }) => data)).size).toBeGreaterThan((count / 5) * kill);
      }, WAIT);
      running.child.kill("SIGKILL");
      await running.finished;
      running = run();
    }
    return await outcome(last, came, count);
  } finally {
    running.child.kill("SIGTERM");
    await running.finished;
    folder.remove();
  }
}
