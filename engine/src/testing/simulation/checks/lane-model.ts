/**
 * What every lane must carry, computed without the kernel: messages of the origin one at a time through the pure nodes of the
 * route. Positions, ordinals, dead items and late marks follow from step-protocol §2 and §5 alone.
 */
import type { PureBehavior, PureOutput, PureResult } from "../../../behavior/pure-behavior.ts";
import type { Anchor } from "../../../frame/anchor.ts";
import { RowBatch } from "../../../frame/batch.ts";
import { decodeBatch } from "../../../frame/batch-codec.ts";
import type { LateMark } from "../../../frame/frame.ts";
import type { Json } from "../../../frame/json.ts";
import { comparePoints, type Point, START, wholly } from "../../../frame/point.ts";
import type { GraphProgram, ProgramEdge, ProgramNode } from "../../../runtime/program.ts";
import type { SourceMessage, SourcePartitions } from "../simulated-source.ts";
import type { NodeHistory } from "./node-history.ts";

/** A message of a lane, or one that a node on the way (or the source) gave up on. */
export interface LaneItem extends Point {
  readonly row: Json;
  readonly deadAt?: string;
}

export interface ModelLane {
  readonly name: string;
  readonly origin: string;
  readonly receiver: string;
  readonly input: number;
  readonly feedback: boolean;
  readonly items: readonly LaneItem[];
  /** Where the lane begins, and in which revisions it is; it ends with the last. */
  readonly begin: Point;
  readonly beginWatermark: number;
  readonly revisions: readonly number[];
  /** Late messages: as the input says, or the steps of a source that cannot be read again. */
  readonly late: readonly LateMark[];
  /** For lanes of a source that is read again: the watermark at each position, ascending. */
  readonly watermarks: readonly { readonly pos: number; readonly watermark: number }[] | undefined;
}

interface Origin {
  readonly name: string;
  readonly node: string;
  /** Undefined for sources, whose edges all leave the partition. */
  readonly port: string | undefined;
  readonly items: readonly LaneItem[];
  readonly late: readonly LateMark[];
  readonly watermarks: ModelLane["watermarks"];
}

export class LaneModel {
  readonly lanes: readonly ModelLane[];
  readonly #found = new Map<string, ModelLane>();

  /** Over all revisions: each sees the positions of an origin up to where the next begins. */
  constructor(
    programs: readonly GraphProgram[],
    sources: ReadonlyMap<string, SourcePartitions>,
    histories: ReadonlyMap<string, NodeHistory>,
  ) {
    programs.forEach((program, i) => {
      for (const lane of lanesOf(program, programs[i + 1]?.begins, sources, histories)) this.#add(lane);
    });
    this.lanes = [...this.#found.values()];
  }

  into(node: string): readonly ModelLane[] {
    return this.lanes.filter((lane) => lane.receiver === node);
  }

  /** A lane that was there before goes on. */
  #add(lane: ModelLane): void {
    const before = this.#found.get(lane.name);
    const { begin, beginWatermark } = before ?? lane;
    const known = before?.items ?? [];
    const last = known.at(-1);
    const items = [...known, ...lane.items.filter((item) => last === undefined || comparePoints(item, last) > 0)];
    const revisions = [...(before?.revisions ?? []), ...lane.revisions];
    this.#found.set(lane.name, { ...lane, begin, beginWatermark, items, revisions });
  }
}

/** The lanes of one revision. `ends`: where the next one takes over. */
function lanesOf(
  program: GraphProgram,
  ends: GraphProgram["begins"],
  sources: ReadonlyMap<string, SourcePartitions>,
  histories: ReadonlyMap<string, NodeHistory>,
): readonly ModelLane[] {
  const routes = new Routes(program);
  for (const node of program.nodes) {
    for (const origin of originsOf(node, sources, histories)) {
      const begin = program.begins?.find((b) => b.origin === origin.name);
      const last = ends?.find((e) => e.origin === origin.name)?.pos ?? Number.POSITIVE_INFINITY;
      const items = origin.items.filter(({ pos }) => pos > (begin?.pos ?? -1) && pos <= last);
      routes.follow({ ...origin, items }, begin);
    }
  }
  return routes.lanes;
}

class Routes {
  readonly lanes: ModelLane[] = [];
  readonly #program: GraphProgram;
  readonly #nodes: ReadonlyMap<string, ProgramNode>;

  constructor(program: GraphProgram) {
    this.#program = program;
    this.#nodes = new Map(program.nodes.map((n) => [n.name, n]));
  }

  follow(origin: Origin, begin: Anchor | undefined): void {
    this.#follow(origin, begin, origin.node, origin.port, origin.items, origin.name, false);
  }

  #follow(
    origin: Origin,
    begin: Anchor | undefined,
    from: string,
    port: string | undefined,
    items: readonly LaneItem[],
    route: string,
    feedback: boolean,
  ): void {
    const node = this.#nodes.get(from) as ProgramNode;
    const pure = node.role === "pure" ? node.make() : undefined;
    const leaving = this.#program.edges.filter((e) => e.from === from && (port === undefined || portOf(e) === port));
    const first = firstEdge(leaving, pure);
    for (const edge of leaving) {
      const out = pure === undefined ? items : through(pure, from, portOf(edge), items);
      const carried = edge === first ? out : out.filter((item) => item.deadAt === undefined);
      const label = portOf(edge) === "out" || port !== undefined ? "" : `.${portOf(edge)}`;
      const name = `${route}${label}>${edge.to}${(edge.input ?? 0) === 0 ? "" : `:${edge.input}`}`;
      const loops = feedback || edge.feedback === true;
      if ((this.#nodes.get(edge.to) as ProgramNode).role === "pure") {
        this.#follow(origin, begin, edge.to, undefined, carried, name, loops);
        continue;
      }
      this.lanes.push({
        name,
        origin: origin.name,
        receiver: edge.to,
        input: edge.input ?? 0,
        feedback: loops,
        items: carried,
        begin: begin === undefined ? START : wholly(begin.pos),
        beginWatermark: begin?.watermark ?? Number.NEGATIVE_INFINITY,
        revisions: [this.#program.revision],
        late: origin.late,
        watermarks: origin.watermarks,
      });
    }
  }
}

/** Items above `from`, up to and including `to`. */
export function itemsWithin(items: readonly LaneItem[], from: Point, to: Point): LaneItem[] {
  return items.filter((item) => comparePoints(item, from) > 0 && comparePoints(item, to) <= 0);
}

function portOf(edge: ProgramEdge): string {
  return edge.port ?? "out";
}

/** Dead items of a branch go down its first edge only (R23). */
function firstEdge(edges: readonly ProgramEdge[], pure: PureBehavior | undefined): ProgramEdge | undefined {
  if (pure === undefined) return edges[0];
  for (const port of pure.ports) {
    const edge = edges.find((e) => portOf(e) === port);
    if (edge !== undefined) return edge;
  }
  return undefined;
}

function through(behavior: PureBehavior, node: string, port: string, items: readonly LaneItem[]): LaneItem[] {
  const out: LaneItem[] = [];
  const index = behavior.ports.indexOf(port);
  let lastPos = -1;
  let next = 0;
  const numbered = (item: LaneItem): LaneItem => {
    if (behavior.expands !== true) return item;
    next = item.pos === lastPos ? next + 1 : 0;
    lastPos = item.pos;
    return { ...item, ord: next };
  };
  for (const item of items) {
    if (item.deadAt !== undefined) {
      out.push(numbered(item));
      continue;
    }
    const result = attempt(behavior, item.row);
    if (result === undefined || result.failures.length > 0) out.push(numbered({ ...item, deadAt: node }));
    else for (const row of (result.outputs[index] as PureOutput).batch.rows()) out.push(numbered({ ...item, row }));
  }
  return out;
}

function attempt(behavior: PureBehavior, row: Json): PureResult | undefined {
  try {
    return behavior.transform(new RowBatch([row]));
  } catch {
    return undefined;
  }
}

function originsOf(
  node: ProgramNode,
  sources: ReadonlyMap<string, SourcePartitions>,
  histories: ReadonlyMap<string, NodeHistory>,
): Origin[] {
  if (node.role === "source") {
    return [...(sources.get(node.name) ?? [])].map(([part, messages]) => ({
      name: `${node.name}#${part}`,
      node: node.name,
      port: undefined,
      items: messages.map(({ pos, row, rejected }) => ({
        pos,
        ord: 0,
        row,
        ...(rejected === true ? { deadAt: node.name } : {}),
      })),
      ...timeline(messages, node.eventTime),
    }));
  }
  if (node.role === "pure") return [];
  return node.make().ports.map((port) => ({
    name: `${node.name}.${port}`,
    node: node.name,
    port,
    items: emittedOn(histories.get(node.name), port),
    late: (histories.get(node.name)?.steps ?? []).flatMap(({ step }) =>
      step.emitted.filter((emitted) => emitted.port === port).flatMap(({ late }) => late),
    ),
    watermarks: undefined,
  }));
}

function emittedOn(history: NodeHistory | undefined, port: string): LaneItem[] {
  const items: LaneItem[] = [];
  for (const { step } of history?.steps ?? []) {
    for (const emitted of step.emitted) {
      if (emitted.port !== port) continue;
      decodeBatch(emitted.batch)
        .rows()
        .forEach((row, i) => void items.push({ pos: emitted.firstSeq + i, ord: 0, row }));
    }
  }
  return items;
}

/** Watermarks by position, and what comes behind them: decided once, whatever frames were cut or resent (R19). */
function timeline(
  messages: readonly SourceMessage[],
  eventTime: { readonly field: string; readonly boundMs: number } | undefined,
): Pick<Origin, "late" | "watermarks"> {
  if (eventTime === undefined) return { late: [], watermarks: undefined };
  const late: LateMark[] = [];
  let watermark = Number.NEGATIVE_INFINITY;
  const watermarks = messages.map(({ pos, row, rejected }) => {
    const time = Number((row as { readonly [field: string]: Json })[eventTime.field]);
    if (rejected !== true && time < watermark) late.push({ pos, watermark });
    else if (rejected !== true) watermark = Math.max(watermark, time - eventTime.boundMs);
    return { pos, watermark };
  });
  return { late, watermarks };
}
