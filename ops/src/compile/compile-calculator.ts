import { pathToFileURL } from "node:url";
import {
  type CalculatorLimits,
  type CalculatorPayloads,
  calculator,
  loadProcessCalculator,
  type ProcessCalculatorOptions,
  processCalculator,
  restCalculator,
} from "@millrace/actors";
import type { AnyNodeModel } from "@millrace/engine";
import {
  type CommittedBehavior,
  type CommittedNode,
  durationMs,
  isServiceAddress,
  type Json,
  type PureNode,
} from "@millrace/engine";
import { unixWorkers } from "@millrace/streams/process";
import type { ScriptOptions } from "../calculator/script-module.ts";
import { languageOf, programFor } from "./calculator-process.ts";
import type { CompileContext } from "./compile-context.ts";
import { type HostedLibrary, hostedLibrary, processOf } from "./hosted-library.ts";
import { type HostedScript, hostedScript, scriptProcess } from "./hosted-script.ts";
import { restOptions } from "./rest-options.ts";

type CalculatorModel = Extract<AnyNodeModel, { kind: "calculator" }>;

const MEMORY_MIB = 256;

/** A pure calculator runs inline; any other in a thread or process that starts with each incarnation of its node. */
export async function compileCalculator(
  model: CalculatorModel,
  context: CompileContext,
): Promise<PureNode | CommittedNode> {
  const { use, isolation } = model.definition;
  if (isServiceAddress(use)) return compileRest(model, context);
  await context.pin(use);
  if (runsInProcess(use, isolation)) return compileProcess(model, context);
  const { pure, config, export: name } = model.definition;
  const hosted = libraryIn(model, context) ?? scriptIn(model, context);
  const options = {
    url: hosted?.url ?? pathToFileURL(context.path(use)).href,
    pure: pure ?? false,
    ...(name === undefined || hosted !== undefined ? {} : { export: name }),
    ...limitsOf(model),
    ...(config === undefined ? {} : { config: config as Json }),
    ...(hosted === undefined ? {} : { config: hosted.config }),
    payloads: payloadsOf(model, context),
  };
  const load = () => calculator(options, context.options.env);
  const first = await load();
  if (first.kind === "pure") {
    const { describe } = first;
    return { role: "pure", make: () => first, ...(describe === undefined ? {} : { describe }) };
  }
  await first.close?.();
  return { role: "committed", make: () => lateBehavior(first, load) };
}

/** Whether it computes inline, so that nothing of it is logged. */
export function isPureCalculator({ definition: { use, isolation, pure } }: CalculatorModel): boolean {
  return pure === true && !isServiceAddress(use) && !runsInProcess(use, isolation);
}

/** A library runs elsewhere only where the graph says so; WebAssembly runs in a thread, as modules do. */
function runsInProcess(use: string, isolation: string | undefined): boolean {
  const language = languageOf(use);
  if (language === "node" || language === "wasm") return isolation === "process";
  return language !== "library" || isolation === undefined || isolation === "process";
}

/** The module that stands for compiled code inside of this host. */
function libraryIn(model: CalculatorModel, context: CompileContext): HostedLibrary | undefined {
  const { use, isolation, config, limits = {} } = model.definition;
  const language = languageOf(use);
  if (language !== "library" && language !== "wasm") return undefined;
  if (language === "library") warnOfFaults(model, context);
  return hostedLibrary({
    file: context.path(use),
    config: (config ?? null) as Json,
    graph: context.model.name,
    node: model.name,
    memoryMib: limits.memoryMib ?? MEMORY_MIB,
    isShared: isolation === "inline",
  });
}

/** The module that stands for a script in its sandbox. */
function scriptIn(model: CalculatorModel, context: CompileContext): HostedScript | undefined {
  return model.definition.sandbox === true ? hostedScript(scriptOptions(model, context)) : undefined;
}

function scriptOptions({ definition }: CalculatorModel, context: CompileContext): ScriptOptions {
  const { use, config, limits = {}, export: name = "" } = definition;
  const memoryMib = limits.memoryMib ?? MEMORY_MIB;
  return { file: context.path(use), export: name, config: (config ?? null) as Json, memoryMib };
}

function warnOfFaults({ name, definition: { use, isolation } }: CalculatorModel, context: CompileContext): void {
  const { file, line, column } = context.place(name, "isolation");
  const where = [file, line, column].filter((part) => part !== undefined).join(":");
  const message = `${where} \`${use}\` runs inside of the host (isolation: ${isolation}): a fault in it ends the host, and nothing stops it`;
  process.emitWarning(message, { code: "HOST-LIBRARY" });
}

/** A service that is down when the graph starts is waited for, as one that goes down later is. */
async function compileRest(model: CalculatorModel, context: CompileContext): Promise<CommittedNode> {
  const { env } = context.options;
  const { client, ...options } = await restOptions(model, context);
  const payloads = payloadsOf(model, context);
  return { role: "committed", make: () => restCalculator({ ...options, payloads, client: client() }, env) };
}

/** Loads the file once, so that a graph whose calculator cannot start is refused and not parked. */
async function compileProcess(model: CalculatorModel, context: CompileContext): Promise<CommittedNode> {
  const { env } = context.options;
  const options = processOptions(model, context);
  await loadProcessCalculator(options, env);
  return { role: "committed", make: () => processCalculator(options, env) };
}

function processOptions(model: CalculatorModel, context: CompileContext): ProcessCalculatorOptions {
  const { use, interpreter, config, limits = {}, export: name } = model.definition;
  const file = context.path(use);
  const memoryMib = limits.memoryMib ?? MEMORY_MIB;
  const program = interpreter?.includes("/") ? context.path(interpreter) : interpreter;
  const { overheadMib, ...command } = programFor(file, program, memoryMib, context.place(model.name, "use"));
  const origin = { file, config: (config ?? null) as Json, graph: context.model.name, node: model.name };
  return {
    launcher: unixWorkers(context.options.env),
    command,
    ...(name === undefined ? {} : { export: name }),
    ...processOf(origin, memoryMib),
    ...(model.definition.sandbox === true ? scriptProcess(scriptOptions(model, context)) : {}),
    overheadMib,
    payloads: payloadsOf(model, context),
    ...limitsOf(model),
    ...(limits.cpu === undefined ? {} : { cpuMs: durationMs(limits.cpu) }),
  };
}

function payloadsOf({ name }: CalculatorModel, context: CompileContext): CalculatorPayloads | undefined {
  const { payloads } = context.options;
  const intake = context.intake(name);
  if (payloads === undefined || intake === undefined) return undefined;
  return {
    intake,
    reader: payloads.reader,
    get exchange() {
      return payloads.exchange;
    },
  };
}

function limitsOf({ definition: { deadline, limits = {} } }: CalculatorModel): CalculatorLimits {
  const { memoryMib, load, attempts } = limits;
  return {
    ...(deadline === undefined ? {} : { deadlineMs: durationMs(deadline) }),
    ...(memoryMib === undefined ? {} : { memoryMib }),
    ...(load === undefined ? {} : { loadMs: durationMs(load) }),
    ...(attempts === undefined ? {} : { attemptsMax: attempts }),
  };
}

/** A behavior that comes to be when its actor opens it, because loading takes time and making does not. */
function lateBehavior(shape: CommittedBehavior, load: () => Promise<unknown>): CommittedBehavior {
  let live: CommittedBehavior | undefined;
  const { ports, stepMessagesMax } = shape;
  return {
    kind: "committed",
    ports,
    ...(stepMessagesMax === undefined ? {} : { stepMessagesMax }),
    async open(context) {
      live = (await load()) as CommittedBehavior;
      await live.open?.(context);
    },
    take: (draft, slice) => live?.take(draft, slice),
    finish: (draft) => live?.finish?.(draft),
    seal: () => live?.seal(),
    discard: () => live?.discard(),
    fold() {},
    describe: () => live?.describe?.() ?? null,
    close: () => live?.close?.(),
  };
}
