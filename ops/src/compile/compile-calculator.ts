import { pathToFileURL } from "node:url";
import { calculator } from "@millrace/actors";
import type { AnyNodeModel } from "@millrace/engine";
import { type CommittedBehavior, type CommittedNode, durationMs, type Json, type PureNode } from "@millrace/engine";
import type { CompileContext } from "./compile-context.ts";

type CalculatorModel = Extract<AnyNodeModel, { kind: "calculator" }>;

/** A pure calculator runs inline; any other in a worker that starts with each incarnation of its node. */
export async function compileCalculator(
  { definition }: CalculatorModel,
  context: CompileContext,
): Promise<PureNode | CommittedNode> {
  const { use, pure, deadline, config } = definition;
  await context.pin(use);
  const options = {
    url: pathToFileURL(context.path(use)).href,
    pure: pure ?? false,
    ...(deadline === undefined ? {} : { deadlineMs: durationMs(deadline) }),
    ...(config === undefined ? {} : { config: config as Json }),
  };
  const load = () => calculator(options, context.options.env);
  const first = await load();
  if (first.kind === "pure") return { role: "pure", make: () => first };
  await first.close?.();
  return { role: "committed", make: () => lateBehavior(first, load) };
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
    close: () => live?.close?.(),
  };
}
