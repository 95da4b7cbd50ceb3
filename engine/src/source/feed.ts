/**
 * Something that sends messages of its own accord and keeps none of them: it can neither be slowed nor be read again. What is
 * taken from it is first appended; what comes faster than it can be appended is shed, counted and shown.
 */
import type { ConnectionStatus } from "../connection/connection-status.ts";
import type { Json } from "../frame/json.ts";

export interface Feed {
  /**
   * Hands messages to `take` until `signal` aborts, over connections that it makes again by itself. `lost` is told of messages
   * that it got and could not read.
   */
  run(take: (message: Json) => void, lost: (count: number, reason: string) => void, signal: AbortSignal): Promise<void>;
  connection(): ConnectionStatus;
}
