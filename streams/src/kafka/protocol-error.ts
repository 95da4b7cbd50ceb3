/** What brokers answer when they refuse: kafka.apache.org/protocol, "Error Codes". */
import type { MillraceError } from "@millrace/engine";
import { kafkaError } from "./errors.ts";

export const PROTOCOL = {
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC: 3,
  MESSAGE_TOO_LARGE: 10,
  TOPIC_EXISTS: 36,
  OUT_OF_ORDER_SEQUENCE: 45,
  DUPLICATE_SEQUENCE: 46,
  INVALID_PRODUCER_EPOCH: 47,
  CONCURRENT_TRANSACTIONS: 51,
  UNKNOWN_PRODUCER: 59,
  PRODUCER_FENCED: 90,
  UNKNOWN_TOPIC_ID: 100,
  INCONSISTENT_TOPIC_ID: 103,
} as const;

/** Coordinators that load or move, a transaction before that is just being ended. */
const PASSING: ReadonlySet<number | undefined> = new Set([14, 15, 16, PROTOCOL.CONCURRENT_TRANSACTIONS]);

/** The code of a broker's refusal; `undefined` for any other failure. */
export function codeOf(error: unknown): number | undefined {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "number" ? code : undefined;
}

export function isPassing(error: unknown): boolean {
  return PASSING.has(codeOf(error));
}

export function tooLarge(topic: string, cause: unknown): MillraceError {
  return kafkaError("KAFKA-TOO-LARGE", `a message is larger than topic ${topic} takes`, { cause });
}
