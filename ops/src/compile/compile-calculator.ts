import { pathToFileURL } from "node:url";
import {
  type CalculatorLimits,
  calculator,
  loadProcessCalculator,
  type ProcessCalculatorOptions,
  processCalculator,
} from "@millrace/actors";
import type { AnyNodeModel } from "@millrace/engine";
import { type CommittedBehavior, type CommittedNode, durationMs, type Json, type PureNode } from "@millrace/engine";
import { unixWorkers } from "@millrace/streams/process";
import { languageOf, programFor } from "./calculator-process.ts";
import type { CompileContext } from "./compile-context.ts";

type CalculatorModel = Extract<AnyNodeModel, { kind: "calculator" }>;

const MEMORY_MIB = 256;

/** A pure calculator runs inline; any other in a thread or process that starts with each incarnation of its node. */
export async function compileCalculator(
  model: CalculatorModel,
  context: CompileContext,
): Promise<PureNode | CommittedNode> {
  const { use, isolation } = model.definition;
  await context.pin(use);
  if (isolation === "process" || languageOf(use) !== "node") return compileProcess(model, context);
  const { pure, config, export: name } = model.definition;
  const options = {
    url: pathToFileURL(context.path(use)).href,
    pure: pure ?? false,
    ...(name === undefined ? {} : { export: name }),
    ...limitsOf(model),
    ...(config === undefined ? {} : { config: config as Json }),
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
  return {
    launcher: unixWorkers(context.options.env),
    command,
    file,
    ...(name === undefined ? {} : { export: name }),
    config: (config ?? null) as Json,
    graph: context.model.name,
    node: model.name,
    overheadMib,
    ...limitsOf(model),
    ...(limits.cpu === undefined ? {} : { cpuMs: durationMs(limits.cpu) }),
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
