import { virtualEnv } from "@millrace/engine/testing";
import type { ScriptBatch, ScriptSource } from "@millrace/projections";
import { expect, it } from "vitest";
import { ArrayLog } from "../../test/array-log.ts";
import type { EndpointContext } from "./endpoint-context.ts";
import { emittedStream } from "./projection-definition.ts";
import { ProjectionOutput } from "./projection-output.ts";
import { NO_METADATA } from "./stream-metadata.ts";

it("a stream that a projection writes to is tracked once, and again when so many others were that it was forgotten", async () => {
  const writer = { mustBeWritable: async () => ({ metadata: NO_METADATA }) };
  const context = { log: new ArrayLog(), env: virtualEnv("tracked"), writer } as unknown as EndpointContext;
  const definition = {
    name: "p",
    query: "",
    mode: "Continuous" as const,
    emitEnabled: true,
    trackEmittedStreams: true,
    isEnabled: true,
    epoch: 1,
    version: 1,
  };
  const output = new ProjectionOutput(context, definition, { principal: "p", codeVersion: "1" });
  const source = { outputs: false, options: {} } as unknown as ScriptSource;
  const trackedBy = async (...streams: readonly string[]): Promise<number> => {
    const effects = streams.map((stream) => ({ stream, type: "Emitted" }));
    const appends = await output.appends(1, { effects, changed: [] } as unknown as ScriptBatch, source);
    return appends.find(({ stream }) => stream === emittedStream("p"))?.events.length ?? 0;
  };
  expect(await trackedBy("first")).toBe(1);
  expect(await trackedBy("first", "second")).toBe(1);
  const many = Array.from({ length: 65_536 }, (_, i) => `other-${i}`);
  expect(await trackedBy(...many)).toBe(65_536);
  expect(await trackedBy("first")).toBe(1);
});
