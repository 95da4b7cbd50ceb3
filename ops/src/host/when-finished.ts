import { MillraceError } from "@millrace/engine";
import { opsError } from "../errors.ts";
import type { RunningGraph } from "./running-graph.ts";

/** Resolves when the graph has come to its end. @throws HOST-PARKED, NODE-FENCED */
export async function whenFinished(running: RunningGraph): Promise<void> {
  await Promise.race([finished(running), parked(running), fenced(running)]);
}

/** Of a runtime that another took the place of, nobody hears the end. */
async function finished(running: RunningGraph): Promise<void> {
  for (let runtime: unknown; runtime !== running.runtime; ) {
    runtime = running.runtime;
    await Promise.race([running.runtime.whenFinished, running.replaced()]);
  }
}

function parked(running: RunningGraph): Promise<never> {
  return new Promise((_resolve, reject) => {
    running.onParked(({ nodes, error }) => {
      const message = `${nodes.join(", ")} gave up: ${error.code} ${error.message}`;
      reject(opsError("HOST-PARKED", message, { place: { graph: running.name, ...error.place } }));
    });
  });
}

function fenced(running: RunningGraph): Promise<never> {
  return new Promise((_resolve, reject) => {
    running.onFenced(({ code, kind, message }) =>
      reject(
        new MillraceError(code, kind, `another host runs this graph: ${message}`, { place: { graph: running.name } }),
      ),
    );
  });
}
