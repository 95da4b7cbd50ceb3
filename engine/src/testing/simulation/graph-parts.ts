/** Short forms for writing the graphs of scenarios. */
import type { CommittedBehavior } from "../../behavior/committed-behavior.ts";
import type { PureBehavior } from "../../behavior/pure-behavior.ts";
import type { MailboxOptions } from "../../mailbox/mailbox.ts";
import type { ProgramEdge, ProgramNode } from "../../runtime/program.ts";
import type { HostView } from "./scenario.ts";
import type { SourcePartitions } from "./simulated-source.ts";
import type { SimulatedTarget } from "./simulated-target.ts";

export function sourceNode(
  host: HostView,
  name: string,
  partitions: SourcePartitions,
  eventTimeBoundMs?: number,
): ProgramNode {
  const eventTime = eventTimeBoundMs === undefined ? {} : { eventTime: { field: "time", boundMs: eventTimeBoundMs } };
  return {
    name,
    kind: "source",
    role: "source",
    connector: host.source(partitions),
    frameMessagesMax: 8,
    ...eventTime,
  };
}

export function pureNode(name: string, make: () => PureBehavior, mailbox?: MailboxOptions): ProgramNode {
  return { name, kind: "pure", role: "pure", make, ...(mailbox === undefined ? {} : { mailbox }) };
}

export function statefulNode(name: string, make: () => CommittedBehavior, mailbox?: MailboxOptions): ProgramNode {
  return { name, kind: "stateful", role: "committed", make, ...(mailbox === undefined ? {} : { mailbox }) };
}

/** A node with state whose origins wait for each other in event time. */
export function alignedNode(
  name: string,
  make: () => CommittedBehavior,
  maxDriftMs: number,
  mailbox: MailboxOptions,
): ProgramNode {
  return { name, kind: "stateful", role: "committed", make, mailbox, alignment: { maxDriftMs } };
}

/** A sink that is named as its target. */
export function sinkNode(
  host: HostView,
  target: SimulatedTarget,
  poison?: (row: never) => boolean,
  mailbox?: MailboxOptions,
): ProgramNode {
  const make = (): CommittedBehavior => host.sink(target, poison);
  const options = mailbox === undefined ? {} : { mailbox };
  return { name: target.name, kind: "sink", role: "committed", isSink: true, make, ...options };
}

/** `a.port -> b:1` as an edge. */
export function edge(text: string, options: { readonly feedback?: boolean } = {}): ProgramEdge {
  const [left = "", right = ""] = text.split(" -> ");
  const [from = "", port] = left.split(".");
  const [to = "", input] = right.split(":");
  return {
    from,
    to,
    ...(port === undefined ? {} : { port }),
    ...(input === undefined ? {} : { input: Number(input) }),
    ...options,
  };
}
