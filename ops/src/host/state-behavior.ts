/**
 * A node's behavior for folding alone: made from the definition without a connector, a table file, a calculator module or a secret,
 * so that a past state can be looked at where none of these is. Nothing of it is ever opened.
 */
import { calculatorFold, connectorSink, discardSink, feedSource, httpPush, merge, stateMode } from "@millrace/actors";
import {
  type AnyNodeModel,
  type CommittedBehavior,
  decodeBatch,
  type Env,
  type Feed,
  fieldOf,
  type GraphModel,
  httpKindOf,
  isJsonObject,
  type JsonObject,
  parseTarget,
  type SinkConnector,
  type StateEvent,
} from "@millrace/engine";
import type { RowChange } from "@millrace/gateway";
import { CompileContext } from "../compile/compile-context.ts";
import { compileNode } from "../compile/compile-node.ts";
import { ProjectionTables } from "./projection-tables.ts";

export interface FoldingBehavior extends CommittedBehavior {
  /** Rows changed since the last call, where the behavior knows: large tables are then not compared as a whole. */
  takeChanges?(): readonly RowChange[];
}

/** A behavior that folds what the node of this definition logged; one without a state of its own folds nothing. */
export async function stateBehavior(node: AnyNodeModel, model: GraphModel, env: Env): Promise<FoldingBehavior> {
  switch (node.kind) {
    case "window":
      return compiled(node, model, env);
    case "sink":
      return sinkState(node);
    case "source": {
      const target = parseTarget(node.definition.from);
      const scheme = target?.scheme;
      if (FEED.test(node.definition.from) || (target && httpKindOf(target) !== undefined)) return feedSource(SILENT);
      if (scheme === "http") return httpPush();
      return scheme === "metronome" || scheme === "cron" ? compiled(node, model, env) : stateless();
    }
    case "calculator":
      return calculatorFold();
    default:
      // Whatever the node computes, what it logs are last results.
      return node.mode === "state" ? stateMode({ behavior: merge() }) : stateless();
  }
}

/** Beside those on the web: sources that log the ids of what came, and how much of it was unreadable. */
const FEED =
  /^(?:mem:|memredis:channel|mqtt:|rabbitmq:|activemq:|amqp10:|jms:|grpc:|grpc\+listen:|custom:|nats:.*\/core\/|redis:.*\/(?:channel|key)\/|postgres:.*\/(?:outbox|cdc)\/)/i;
const SILENT: Feed = {
  run: async () => undefined,
  connection: () => ({ name: "", state: "idle", endpoint: null, reason: "", sinceMs: 0, connects: 0, failures: 0 }),
};

/** What a committed node without state does with state events: it has none. */
const stateless = discardSink;

async function compiled(node: AnyNodeModel, model: GraphModel, env: Env): Promise<CommittedBehavior> {
  const context = new CompileContext(model, { dir: ".", out: ".", env, tables: new ProjectionTables() });
  const { role, ...made } = await compileNode(node, context);
  return role === "committed" && "make" in made ? (made.make() as CommittedBehavior) : stateless();
}

function sinkState({ definition }: Extract<AnyNodeModel, { kind: "sink" }>): FoldingBehavior {
  const scheme = parseTarget(definition.to)?.scheme;
  if (scheme === "projection") return tableState(definition.key ?? []);
  return scheme === "discard" ? stateless() : connectorSink(NOWHERE);
}

/** A target that is never opened nor delivered to. */
const NOWHERE: SinkConnector = {
  guarantee: "at-least-once",
  open: () => Promise.resolve(),
  deliver: () => Promise.reject(new Error("a fold delivers nothing")),
  close: () => Promise.resolve(),
};

/** Rows that a projection sink logged, by their key: what this node alone made of the projection. */
function tableState(key: readonly string[]): FoldingBehavior {
  const rows = new Map<string, JsonObject>();
  let changes = new Map<string, RowChange>();
  const put = (row: JsonObject): void => {
    const own =
      key.length === 0
        ? { row: rows.size }
        : Object.fromEntries(key.map((field) => [field, fieldOf(row, field) ?? null]));
    const name = JSON.stringify(own);
    const before = changes.has(name) ? (changes.get(name)?.before ?? null) : (rows.get(name) ?? null);
    changes.set(name, { key: own, before, after: row });
    rows.set(name, row);
  };
  return {
    ...discardSink(),
    fold(event) {
      const encoded = (event as { readonly rows?: StateEvent }).rows;
      if (encoded === undefined) return;
      for (const row of decodeBatch(encoded).rows()) if (isJsonObject(row)) put(row);
    },
    inspect: () => ({ key, rows: [...rows.values()] }),
    // Rows without a key are as many as the events that brought them.
    ...(key.length === 0
      ? {}
      : {
          snapshot: () => [...rows.values()] as StateEvent,
          restore(snapshot: StateEvent) {
            rows.clear();
            // What `snapshot` said.
            for (const row of snapshot as readonly JsonObject[]) put(row);
            changes = new Map();
          },
        }),
    takeChanges() {
      const taken = [...changes.values()];
      changes = new Map();
      return taken;
    },
  };
}
