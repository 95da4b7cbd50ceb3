/** States of nodes as folds of their streams, at any moment that the log reaches. Effects are never executed. */
import { setImmediate } from "node:timers/promises";
import {
  type AnyNodeModel,
  type CommittedBehavior,
  didYouMean,
  type Env,
  type EventLog,
  fieldOf,
  isJsonObject,
  type Json,
  type JsonObject,
  type RecordedEvent,
  type SnapshotStore,
  STEP,
  type StateTable,
  StreamFold,
  stepOf,
  streamOf,
} from "@millrace/engine";
import type {
  Moment,
  NodeState,
  NodeStateDiff,
  NodeStateReader,
  RowChange,
  StateChange,
  StateChanges,
} from "@millrace/gateway";
import { positionAfter } from "@millrace/projections";
import { prunedBelow } from "@millrace/streams/embedded";
import { opsError } from "../errors.ts";
import { Newest } from "../newest.ts";
import { askedLog } from "./asked-log.ts";
import { deployedModel } from "./deployed-model.ts";
import { stateSinceOf } from "./deployment.ts";
import { plain } from "./describe-event.ts";
import { type Deployment, deploymentBefore, graphNames } from "./graph-stream.ts";
import { Places } from "./places.ts";
import { type FoldingBehavior, stateBehavior } from "./state-behavior.ts";

export interface NodeStatesOptions {
  readonly log: EventLog;
  readonly snapshots: SnapshotStore;
  readonly env: Env;
}

/** A node with the revision of its graph that was deployed at a moment. */
interface DeployedNode {
  readonly model: AnyNodeModel;
  readonly deployment: Deployment;
  readonly behavior: FoldingBehavior;
  readonly fold: StreamFold;
}

/** Digits of the revision's hash that snapshots are keyed by; see `compile-graph`. */
const CODE_VERSION_DIGITS = 16;

/** Each state that is made takes as much memory as its node does. */
const AT_ONCE_MAX = 4;
/** Names of fields that an answer tells. */
const FIELDS_MAX = 1000;

export class NodeStates implements NodeStateReader {
  readonly #options: NodeStatesOptions;
  readonly #places: Places = new Places(AT_ONCE_MAX);

  constructor(options: NodeStatesOptions) {
    this.#options = options;
  }

  /** @throws HOST-MOMENT, LOG-PRUNED, NODE-STATE, EVENT-SCHEMA, EVENT-PAYLOAD, the signal's reason */
  at(graph: string, node: string, moment: Moment | undefined, signal: AbortSignal): Promise<NodeState> {
    return this.#places.use(signal, () => this.#at(graph, node, moment, signal));
  }

  /** @throws as {@link at} */
  diff(graph: string, node: string, from: Moment, to: Moment | undefined, signal: AbortSignal): Promise<NodeStateDiff> {
    return this.#places.use(signal, () => this.#diff(graph, node, from, to, signal));
  }

  /** @throws as {@link at} */
  changes(graph: string, node: string, field: string, limit: number, signal: AbortSignal): Promise<StateChanges> {
    return this.#places.use(signal, () => this.#changes(graph, node, field, limit, signal));
  }

  async #at(graph: string, node: string, moment: Moment | undefined, signal: AbortSignal): Promise<NodeState> {
    const end = await this.#positionOf(moment);
    const deployed = await this.#deployedNode(graph, node, end, signal);
    await deployed.fold.restore(end);
    await deployed.fold.foldTail(end);
    return stateOf(graph, node, end, deployed);
  }

  async #diff(
    graph: string,
    node: string,
    from: Moment,
    to: Moment | undefined,
    signal: AbortSignal,
  ): Promise<NodeStateDiff> {
    const before = await this.#at(graph, node, from, signal);
    const after = await this.#at(graph, node, to, signal);
    const changes = rowChanges(indexed(before), indexed(after));
    const { rows: _before, ...first } = before;
    const { rows: _after, ...second } = after;
    const removed = changes.filter((change) => change.after === null).length;
    const added = changes.filter((change) => change.before === null).length;
    const changed = changes.length - added - removed;
    return { graph, node, from: first, to: second, added, removed, changed, changes };
  }

  async #changes(
    graph: string,
    node: string,
    field: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<StateChanges> {
    const end = this.#options.log.durableEnd;
    const from = this.#options.log.base ?? 0;
    const { fold, behavior } = await this.#deployedNode(graph, node, end, signal);
    const found = new Newest<StateChange>(limit);
    const fields = new Set<string>();
    const note = (row: JsonObject | null): void => {
      for (const name in row) if (fields.size < FIELDS_MAX) fields.add(name);
    };
    const seen = (): StateChanges => ({
      from,
      asOf: end,
      changes: found.items,
      total: found.total,
      fields: [...fields],
    });
    const since = changesSince(behavior);
    await fold.restore(from);
    since();
    for (const row of tableOf(behavior).rows) note(row);
    const log = askedLog(this.#options.log, signal);
    for await (const events of log.readStream(streamOf(graph, node), { from: fold.chain.revision + 1 })) {
      for (const event of events) {
        if (event.position >= end) return seen();
        fold.fold(event);
        if (event.type !== STEP) continue;
        for (const change of since()) {
          note(change.after);
          const [was, is] = [fieldOf(change.before, field) ?? null, fieldOf(change.after, field) ?? null];
          if (JSON.stringify(was) !== JSON.stringify(is)) found.add(changeOf(event, fold, change, was, is));
        }
        // A long stream is folded in small turns: the server does other things as well.
        await setImmediate();
        signal.throwIfAborted();
      }
    }
    return seen();
  }

  async #positionOf(moment: Moment | undefined): Promise<number> {
    const { log } = this.#options;
    if (moment === undefined) return log.durableEnd;
    if ("timeMs" in moment) return positionAfter(log, moment.timeMs);
    if (moment.position < (log.base ?? 0)) throw prunedBelow(log.base ?? 0, moment.position);
    if (moment.position <= log.durableEnd) return moment.position;
    throw opsError("HOST-MOMENT", `position ${moment.position} is beyond the log, which ends at ${log.durableEnd}`);
  }

  async #deployedNode(graph: string, node: string, end: number, signal: AbortSignal): Promise<DeployedNode> {
    const { snapshots, env } = this.#options;
    const log = askedLog(this.#options.log, signal);
    const deployment = await this.#deployment(graph, end);
    const whole = deployedModel(graph, deployment);
    const model = whole.nodes.get(node);
    if (model === undefined) {
      const names = [...whole.nodes.keys()].join(", ");
      throw opsError("HOST-MOMENT", `graph ${graph} has no node ${node} at position ${end}; it has ${names}`);
    }
    const behavior = await stateBehavior(model, whole, env);
    const stateSince = stateSinceOf(deployment, node) ?? 0;
    const codeVersion = deployment.hash.slice(0, CODE_VERSION_DIGITS);
    const stream = streamOf(graph, node);
    const fold = new StreamFold({ log, stream, behavior, snapshots, codeVersion, stateSince, leavesSnapshots: true });
    return { model, deployment, behavior, fold };
  }

  async #deployment(graph: string, end: number): Promise<Deployment> {
    const deployment = await deploymentBefore(this.#options.log, graph, end);
    if (deployment !== undefined) return deployment;
    const names = await graphNames(this.#options.log);
    const guess = names.has(graph) ? "" : didYouMean(graph, names);
    throw opsError("HOST-MOMENT", `there is no graph ${graph} at position ${end}${guess}`, { place: { graph } });
  }
}

function stateOf(graph: string, node: string, asOf: number, deployed: DeployedNode): NodeState {
  const { chain } = deployed.fold;
  const lanes = [...chain.lanes.values()].map(({ name, cursor: { pos, ord }, progress: { watermark, idle } }) => ({
    lane: name,
    pos,
    ord,
    idle,
    watermarkMs: finite(watermark),
  }));
  const { key, rows } = tableOf(deployed.behavior);
  return {
    graph,
    node,
    kind: deployed.model.kind,
    stream: streamOf(graph, node),
    asOf,
    graphRevision: deployed.deployment.revision,
    revision: chain.revision,
    epoch: chain.epoch,
    steps: chain.steps,
    stepTimeMs: chain.steps === 0 ? null : chain.at,
    watermarkMs: finite(chain.watermark),
    lanes,
    sent: Object.fromEntries(chain.nextSeq),
    key,
    rowCount: rows.length,
    rows,
  };
}

/** Where there is no table, the state is one row. */
function tableOf(behavior: CommittedBehavior): StateTable {
  if (behavior.inspect !== undefined) return behavior.inspect();
  const value = plain(behavior.snapshot?.() ?? null);
  if (value === null) return { key: [], rows: [] };
  return { key: [], rows: [isJsonObject(value) ? value : { value }] };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

type Indexed = Map<string, JsonObject>;

/** Rows by their key, as JSON text; rows without one by their place. */
function indexed({ key, rows }: StateTable): Indexed {
  return new Map(
    rows.map((row, place) => {
      const own =
        key.length === 0
          ? { row: place }
          : Object.fromEntries(key.map((field) => [field, fieldOf(row, field) ?? null]));
      return [JSON.stringify(own), row];
    }),
  );
}

/** A function that tells the rows changed since its last call. */
function changesSince(behavior: FoldingBehavior): () => readonly RowChange[] {
  if (behavior.takeChanges !== undefined) return () => behavior.takeChanges?.() ?? [];
  let before: Indexed = new Map();
  return () => {
    const after = indexed(tableOf(behavior));
    const changes = rowChanges(before, after);
    before = after;
    return changes;
  };
}

function rowChanges(before: Indexed, after: Indexed): RowChange[] {
  const changes: RowChange[] = [];
  const keyOf = (name: string): JsonObject => JSON.parse(name) as JsonObject;
  for (const [name, row] of before) {
    const now = after.get(name);
    if (now === undefined) changes.push({ key: keyOf(name), before: row, after: null });
    else if (JSON.stringify(now) !== JSON.stringify(row)) changes.push({ key: keyOf(name), before: row, after: now });
  }
  for (const [name, row] of after) if (!before.has(name)) changes.push({ key: keyOf(name), before: null, after: row });
  return changes;
}

function changeOf(event: RecordedEvent, fold: StreamFold, { key }: RowChange, before: Json, after: Json): StateChange {
  const { context, position, timeMs, type } = event;
  return {
    position,
    timeMs,
    type,
    principal: context.principal,
    codeVersion: context.codeVersion,
    graphRevision: context.graphRevision,
    correlationId: Buffer.from(context.correlationId).toString("hex"),
    causationId: Buffer.from(context.causationId).toString("hex"),
    why: whyOf(event, fold),
    key,
    before,
    after,
  };
}

/** What a step consumed. Without messages it was time that passed, or the node itself. */
function whyOf(event: RecordedEvent, fold: StreamFold): string {
  const names = new Map(Array.from(fold.chain.lanes.values(), ({ number, name }) => [number, name]));
  const { inputs } = stepOf(event);
  const consumed = inputs.filter(({ messages }) => messages > 0);
  if (consumed.length > 0)
    return consumed.map(({ lane, from, to }) => `${names.get(lane)} after ${from.pos} to ${to.pos}`).join("; ");
  return inputs.length > 0 ? `watermark of ${inputs.map(({ lane }) => names.get(lane)).join(", ")}` : "the node itself";
}
