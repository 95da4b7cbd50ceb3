import { type EventLog, type StreamAppend, systemEnv } from "@millrace/engine";
import { memoryEventLog } from "@millrace/streams/memory";
import { context, ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tracedLog } from "./traced-log.ts";

interface Seen {
  readonly name: string;
  readonly attributes: Record<string, unknown>;
  code?: number;
  ended: boolean;
}

const env = systemEnv();
let spans: Seen[];
let log: EventLog;

beforeEach(() => {
  spans = [];
  log = memoryEventLog({ env });
  const startSpan: Tracer["startSpan"] = (name, options) => {
    const seen: Seen = { name, attributes: { ...options?.attributes }, ended: false };
    spans.push(seen);
    // What the log uses of a span; the rest of the interface is left out.
    return {
      setAttribute(key: string, value: unknown) {
        seen.attributes[key] = value;
      },
      setStatus({ code }: { readonly code: number }) {
        seen.code = code;
      },
      recordException() {},
      end() {
        seen.ended = true;
      },
    } as unknown as Span;
  };
  const tracer = { startSpan, startActiveSpan: () => context.with(ROOT_CONTEXT, () => undefined) } as unknown as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
});
afterEach(() => trace.disable());

function append(stream: string, expected: StreamAppend["expected"] = "any"): StreamAppend {
  const id = env.random.bytes(16);
  const eventContext = {
    causationId: id,
    correlationId: id,
    principal: "test",
    tenant: "",
    codeVersion: "",
    graph: "",
    graphRevision: 0,
    node: "",
    epoch: 0,
  };
  return {
    stream,
    expected,
    events: [{ id, type: "T", schemaVersion: 1, context: eventContext, payload: new Uint8Array() }],
  };
}

describe("a traced log", () => {
  it("makes a span of each append that is sampled, with its streams and position", async () => {
    const traced = tracedLog(log, 1, env);
    await traced.append([append("a"), append("b")]);
    expect(spans).toEqual([
      {
        name: "log.append",
        attributes: { "millrace.streams": ["a", "b"], "millrace.events": 2, "millrace.position": 1 },
        ended: true,
      },
    ]);
    expect(traced.durableEnd).toBe(2);
  });

  it("ends the span of a refused append as an error, and passes the refusal on", async () => {
    await expect(tracedLog(log, 1, env).append([append("a", 7)])).rejects.toMatchObject({ code: "LOG-WRONG-REVISION" });
    expect(spans).toMatchObject([{ code: SpanStatusCode.ERROR, ended: true }]);
  });

  it("makes none where nothing is sampled", async () => {
    await tracedLog(log, 0, env).append([append("a")]);
    expect(spans).toEqual([]);
    expect(await log.head("a")).toBe(0);
  });
});
