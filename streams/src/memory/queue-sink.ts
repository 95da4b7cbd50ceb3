/**
 * Puts messages into a queue in memory, and waits while it is full. Messages have ids, so that its reader knows those of a step that is
 * done again; what nobody has read when the process ends is lost.
 */
import type { Env, SinkConnector } from "@millrace/engine";
import { jsonEncoder } from "../format/json-format.ts";
import { Connection } from "../resilience/connection.ts";
import { type MessageSinkDriver, messageSink } from "../resilience/message-sink.ts";
import { outgoingOf, Unfinished } from "../resilience/outgoing.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import type { MemoryQueue } from "./memory-queues.ts";

export interface MemorySinkOptions {
  /** Names the sink among all that write to the queue: graph and node. */
  readonly id: string;
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

/** The header with a message's id. */
export const ID_HEADER = "id";

export function memorySink(queue: MemoryQueue, { id: sink, policy = {} }: MemorySinkOptions, env: Env): SinkConnector {
  const connection = new Connection<AbortController>({
    name: `mem:${queue.name}`,
    endpoints: [queue.name],
    env,
    policy,
    driver: {
      connect: async () => new AbortController(),
      // It is this process.
      probe: () => Promise.resolve(),
      ended: () => new Promise(() => undefined),
      disconnect: async (writing) => writing.abort(new Error(`the sink of queue ${queue.name} was closed`)),
    },
  });
  const unfinished = new Unfinished();
  const driver: MessageSinkDriver<AbortController> = {
    guarantee: "best-effort",
    open: async () => undefined,
    async deliver({ signal }, slices, encode) {
      const messages = slices.flatMap((slice) => outgoingOf(sink, slice, encode));
      await unfinished.finish(messages, 1, async (some) => {
        for (const { id, body } of some) {
          await queue.messages.publish({ headers: { [ID_HEADER]: id }, body }, signal);
          unfinished.took(id);
        }
      });
      return null;
    },
  };
  return messageSink(connection, driver, jsonEncoder);
}
