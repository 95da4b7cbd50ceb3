import type { ConnectionStatus, EdgeStatus, GraphStatus, Json } from "@millrace/engine";
import { isJsonObject } from "@millrace/engine/worker";
import { withApi } from "../api.ts";
import { timeText, writeJson, writeLine, writeTable } from "../output.ts";
import { inert } from "../terminal-text.ts";

interface Options {
  readonly url: string;
  readonly json?: boolean;
}

const pathOf = (graph: string): string => `/api/v1/graphs/${encodeURIComponent(graph)}`;

export async function listGraphs({ url, json = false }: Options): Promise<void> {
  await withApi({ url }, async (api) => {
    const answer = (await api.get("/api/v1/graphs")) as unknown as { readonly graphs: readonly GraphStatus[] };
    if (json) return writeJson(answer);
    const rows = answer.graphs.map((g) => [
      g.graph,
      g.revision,
      g.state,
      g.messagesIn,
      g.messagesOut,
      g.deadLettered,
      g.dropped,
    ]);
    writeTable(["graph", "revision", "state", "in", "out", "dead", "dropped"], rows);
  });
}

export async function showGraph(name: string, { url, json = false }: Options): Promise<void> {
  await withApi({ url }, async (api) => {
    const answer = await api.get(pathOf(name));
    if (json) writeJson(answer);
    else writeGraph(answer as unknown as GraphStatus);
  });
}

function writeGraph(status: GraphStatus): void {
  const started = status.startedMs === 0 ? "never" : timeText(status.startedMs);
  writeLine(`${status.graph} revision ${status.revision}, ${status.state}, ${status.durability}, started ${started}`);
  writeLine();
  writeTable(
    ["node", "kind", "state", "in", "out", "dead", "dropped", "pressure"],
    status.nodes.map((n) => [
      n.node,
      n.kind,
      n.isElsewhere === true ? "elsewhere" : n.state,
      n.messagesIn,
      n.messagesOut,
      n.deadLettered,
      n.dropped,
      n.pressure,
    ]),
  );
  for (const node of status.nodes) {
    if (node.reason !== "") writeLine(inert(`${node.node}: ${node.reason}`));
    if (node.details !== undefined) writeLine(inert(`${node.node}: ${factsOf(node.details)}`));
  }
  for (const { node, connection } of status.nodes)
    if (connection !== undefined) writeLine(inert(`${node}: ${connectionText(connection)}`));
  const broker = status.edges.find(({ connection }) => connection !== undefined)?.connection;
  if (broker !== undefined) writeLine(inert(`edges: ${connectionText(broker)}`));
  writeLine();
  writeTable(
    ["edge", "messages", "depth", "capacity", "dropped"],
    status.edges.map((e) => [e.edge, e.messages, e.depth, e.capacity, e.dropped]),
  );
  for (const { edge, aligning } of status.edges)
    if (aligning !== undefined) writeLine(inert(`${edge}: ${aligningText(aligning)}`));
}

function aligningText({ lanes, behind }: NonNullable<EdgeStatus["aligning"]>): string {
  return `${lanes === 1 ? "1 lane waits" : `${lanes} lanes wait`} for ${behind}, which is behind in event time`;
}

function connectionText({ name, state, endpoint, reason }: ConnectionStatus): string {
  const at = endpoint === null ? "" : ` at ${endpoint}`;
  return `${name} ${state}${at}${reason === "" ? "" : `, ${reason}`}`;
}

/** One line of what a node says of itself; what it says nothing of is left out. */
function factsOf(details: Json): string {
  if (!isJsonObject(details)) return JSON.stringify(details);
  const facts = Object.entries(details).filter(([, value]) => value !== null);
  return facts
    .map(([name, value]) => `${name} ${typeof value === "string" ? inLine(value) : JSON.stringify(value)}`)
    .join(", ");
}

const FACT_CHARS_MAX = 120;

function inLine(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > FACT_CHARS_MAX ? `${line.slice(0, FACT_CHARS_MAX - 1)}…` : line;
}

export async function changeGraph(
  verb: "stop" | "start" | "suspend" | "resume",
  name: string,
  { url, reason, json = false }: Options & { readonly reason: string },
): Promise<void> {
  await withApi({ url }, async (api) => {
    const answer: Json = await api.post(`${pathOf(name)}/${verb}`, { reason });
    if (json) writeJson(answer);
    else writeLine(`${name}: ${(answer as unknown as GraphStatus).state}`);
  });
}
