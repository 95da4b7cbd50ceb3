/**
 * Connectors of one's own: a module beside the graph file exports `source` or `sink`, which makes what the built-in ones make. It is given
 * the layer that they connect by, so it writes no reconnecting of its own.
 */
import { pathToFileURL } from "node:url";
import {
  type Env,
  type Feed,
  messageOf,
  type Place,
  parseCustomAddress,
  type SinkConnector,
  type SourceConnector,
} from "@millrace/engine";
import type * as resilience from "@millrace/streams/resilience";
import { opsError } from "../errors.ts";
import { addressOf } from "./broker-address.ts";
import type { CompileContext } from "./compile-context.ts";

/** What a module is given beside the options of its address. */
interface CustomTools {
  /** Names the node among all: graph and node. */
  readonly id: string;
  readonly env: Env;
  /** Fields that the rows of a sink have as their key. */
  readonly key: readonly string[];
  readonly resilience: typeof resilience;
}

type Make = (options: ReadonlyMap<string, string>, tools: CustomTools) => unknown;

export interface CustomScope {
  readonly id: string;
  readonly context: CompileContext;
  readonly place: Place;
  readonly keys?: readonly string[];
}

/** Read by a cursor of ours, or fed by what cannot be read again. */
type CustomSource = { readonly connector: SourceConnector } | { readonly feed: () => Feed };

/** Called for each incarnation of a feed. @throws HOST-CONNECTOR there is no such module, or it does not make a source */
export async function customSource(address: string, scope: CustomScope): Promise<CustomSource> {
  const make = await maker("source", address, scope);
  const made = make();
  if (isSource(made)) return { connector: made };
  if (isFeed(made)) return { feed: () => make() as Feed };
  throw notMade(
    "source",
    "a source with `capabilities`, `partitions` and `open`, or a feed with `run` and `connection`",
    scope,
  );
}

/** Called for each incarnation. @throws HOST-CONNECTOR there is no such module, or it does not make a sink */
export async function customSink(address: string, scope: CustomScope): Promise<() => SinkConnector> {
  const make = await maker("sink", address, scope);
  if (!isSink(make())) throw notMade("sink", "a sink with `guarantee`, `open`, `deliver` and `close`", scope);
  return () => make() as SinkConnector;
}

async function maker(name: "source" | "sink", address: string, scope: CustomScope): Promise<() => unknown> {
  const { id, context, place, keys: key = [] } = scope;
  const { path, options } = addressOf(address, parseCustomAddress, name, context, place);
  const tools = { id, env: context.options.env, key, resilience: await import("@millrace/streams/resilience") };
  const make = await exported(name, path, scope);
  return () => {
    try {
      return make(options, tools);
    } catch (cause) {
      throw opsError("HOST-CONNECTOR", `\`${name}\` of ${path} failed: ${messageOf(cause)}`, { place, cause });
    }
  };
}

async function exported(name: string, path: string, { context, place }: CustomScope): Promise<Make> {
  try {
    await context.pin(path);
    // Other contents are another module.
    const url = `${pathToFileURL(context.path(path)).href}?${context.parts.get(path)}`;
    const module = (await import(url)) as Readonly<Record<string, unknown>>;
    if (typeof module[name] === "function") return module[name] as Make;
  } catch (cause) {
    throw opsError("HOST-CONNECTOR", `the connector ${path} cannot be loaded: ${messageOf(cause)}`, { place, cause });
  }
  throw opsError("HOST-CONNECTOR", `the connector ${path} exports no function \`${name}\``, { place });
}

const notMade = (name: string, wanted: string, { place }: CustomScope): Error =>
  opsError("HOST-CONNECTOR", `\`${name}\` of the connector does not return ${wanted}`, { place });

const has = (made: unknown, ...names: readonly string[]): boolean =>
  typeof made === "object" &&
  made !== null &&
  names.every((name) => typeof (made as Readonly<Record<string, unknown>>)[name] === "function");

const isSource = (made: unknown): made is SourceConnector =>
  has(made, "partitions", "open") && "capabilities" in (made as object);
const isFeed = (made: unknown): made is Feed => has(made, "run", "connection");
const isSink = (made: unknown): made is SinkConnector =>
  has(made, "open", "deliver", "close") && "guarantee" in (made as object);
