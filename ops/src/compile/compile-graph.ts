/**
 * From a checked graph model to a program: every kind of node gets its behavior or connector. The one place that knows them
 * all; the engine and the behaviors do not know each other.
 */
import {
  type CommittedBehavior,
  canonicalJson,
  compileExpression,
  type Discipline,
  deadline,
  fair,
  fifo,
  formatProblem,
  type GraphModel,
  type GraphProgram,
  type Json,
  lifo,
  type MailboxOptions,
  type NodeModel,
  type ProgramEdge,
  type ProgramNode,
  parseGraph,
} from "@millrace/engine";
import { opsError } from "../errors.ts";
import { CompileContext, type CompileOptions, sha256 } from "./compile-context.ts";
import { type CompiledNode, compileNode } from "./compile-node.ts";
import type { CompiledGraph } from "./compiled-graph.ts";

/**
 * Loads tables and calculators and makes a program of revision 0.
 *
 * @throws HOST-CONNECTOR, HOST-TABLE, HOST-PATH, CALC-LOAD with the place in the graph file or module
 */
export async function compileGraph(model: GraphModel, text: string, options: CompileOptions): Promise<CompiledGraph> {
  const context = new CompileContext(model, options);
  const nodes: ProgramNode[] = [];
  for (const node of model.nodes.values()) {
    const mailbox = mailboxOf(node, context);
    const compiled = await compileNode(node, context);
    const { name, kind, restart } = node;
    if (compiled.role === "source" && node.kind === "source" && node.definition.record === true) {
      nodes.push({ name: inputOf(name), kind, restart, ...compiled });
      nodes.push({ name, kind: "record", restart, mailbox, role: "committed", make: recorder });
      continue;
    }
    nodes.push({ name, kind, restart, mailbox, ...aligned(compiled, node.maxDriftMs) });
  }
  context.parts.set("", model.definitionHash);
  const parts = Object.fromEntries([...context.parts].sort(([a], [b]) => (a < b ? -1 : 1)));
  const hash = sha256(canonicalJson(parts));
  return {
    model,
    text,
    program: programOf(model, nodes, hash),
    hash,
    parts,
    projections: context.projections,
    written: context.written,
    read: context.read,
    pushKeys: context.pushKeys,
    recompile: (earlier) => compileText(earlier, model.name, { ...options, replaced: replacedBy(context) }),
  };
}

/** A revision whose sink was refused its file could not be run to its end so that one which replaces it takes its place. */
function replacedBy({ written }: CompileContext): ReadonlySet<string> {
  return new Set(written.filter(({ replace }) => replace).map(({ path }) => path));
}

async function compileText(text: string, graph: string, options: CompileOptions): Promise<CompiledGraph> {
  const parsed = parseGraph(text, { file: `${graph} (from the log)`, env: process.env });
  if ("graph" in parsed) return compileGraph(parsed.graph, text, options);
  throw opsError("HOST-REVISION", parsed.problems.map(formatProblem).join("\n"), { place: { graph } });
}

function aligned(compiled: CompiledNode, maxDriftMs: number | undefined): CompiledNode {
  if (compiled.role !== "committed" || maxDriftMs === undefined) return compiled;
  return { ...compiled, alignment: { maxDriftMs } };
}

/** What a source that keeps its input reads from; the source itself is then the node that logs what was read. */
function inputOf(name: string): string {
  return `${name}~input`;
}

/** Puts everything that it takes into the log, and sends it on. */
function recorder(): CommittedBehavior {
  return {
    kind: "committed",
    ports: ["out"],
    take: (draft, slice) => draft.emit("out", slice.batch),
    seal() {},
    discard() {},
    fold() {},
  };
}

/** Digits of the revision's hash that events carry as their code version. */
const CODE_VERSION_DIGITS = 16;

function programOf(model: GraphModel, nodes: readonly ProgramNode[], hash: string): GraphProgram {
  const recorded = nodes.filter(({ kind }) => kind === "record");
  const edges = [
    ...recorded.map(({ name }): ProgramEdge => ({ from: inputOf(name), to: name })),
    ...model.edges.map(({ from, port, to, input, feedback, via }): ProgramEdge => {
      return { from, port, to, input, feedback, via };
    }),
  ];
  return {
    graph: model.name,
    revision: 0,
    codeVersion: hash.slice(0, CODE_VERSION_DIGITS),
    durability: model.durability,
    nodes,
    edges,
    supervision: model.supervision,
  };
}

/** Settings of an edge are settings of the lane in its receiver's mailbox; of several edges the roomiest counts. */
function mailboxOf(node: NodeModel, context: CompileContext): MailboxOptions {
  const { capacity, bytes, overflow, discipline, conflateBy } = node.mailbox;
  const capacities = [capacity, ...node.inputs.map((edge) => edge.capacity)].filter((c) => c !== undefined);
  const lossy = overflow ?? node.inputs.find((edge) => edge.overflow !== undefined)?.overflow;
  return {
    ...(capacities.length === 0 ? {} : { capacity: Math.max(...capacities) }),
    ...(bytes === undefined ? {} : { bytesMax: bytes }),
    ...(lossy === undefined ? {} : { overflow: lossy }),
    ...(discipline === undefined ? {} : { discipline: disciplineOf(discipline) }),
    ...(conflateBy === undefined ? {} : { conflateBy: conflateKey(conflateBy, node, context) }),
  };
}

function disciplineOf(name: string): Discipline {
  switch (name) {
    case "lifo":
      return lifo;
    case "fair":
      return fair();
    case "deadline":
      return deadline(() => 0);
    default:
      return fifo;
  }
}

function conflateKey(source: string, node: NodeModel, context: CompileContext): (message: Json) => Json {
  const key = compileExpression(source, context.place(node.name, "mailbox", "conflateBy"));
  return (message) => {
    try {
      return key.row(message);
    } catch {
      // A message without the key is kept apart from all others that have one.
      return null;
    }
  };
}
