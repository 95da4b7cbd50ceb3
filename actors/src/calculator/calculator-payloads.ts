/**
 * Payloads of a calculator's messages: those that its rows name are lent to the code where they are, and bytes that it returns
 * are put into the host's store, or travel inline, before the log hears of them.
 */
import type { Json, LentPayload, PayloadExchange, PayloadFormat, PayloadIntake } from "@millrace/engine";
import { inlineValue, isFormat, PAYLOAD_KEY } from "@millrace/engine/worker";
import type { PlacedPayload } from "./calculator-module.ts";

/** Where worker threads find what reads the store: a module with `openPayloadReader(directory)`. */
export interface ReaderModule {
  readonly url: string;
  readonly directory: string;
}

export interface CalculatorPayloads {
  /** Open once a calculator runs; not yet while its graph is compiled. */
  readonly exchange: PayloadExchange;
  readonly intake: PayloadIntake;
  /** Absent: threads read the files that payloads lie in. */
  readonly reader?: ReaderModule | undefined;
}

/** What code did with payloads that were lent to it. */
export interface PayloadUse {
  readonly opens: number;
  readonly copies: number;
  readonly copiedBytes: number;
  /** Some of what it read may not have been the payload. */
  readonly isLost: boolean;
}

/** The payloads of one run of rows. */
export interface BatchPayloads {
  readonly lent: readonly LentPayload[];
  /** Messages with payloads in place of bytes. */
  take(messages: readonly unknown[]): Promise<readonly Json[]>;
  note(use: PayloadUse): void;
}

/** For calculators outside of a host: rows name no payloads, and all bytes travel inline. */
export const INLINE_PAYLOADS: BatchPayloads = {
  lent: [],
  take: (messages) => withValues(messages, async (bytes, format) => inlineValue({ format, bytes })),
  note() {},
};

/** Where lent payloads lie, by their SHA-256. */
export function placesOf(
  lent: readonly Pick<LentPayload, "reference" | "place">[],
): Readonly<Record<string, PlacedPayload>> {
  return Object.fromEntries(
    lent.map(({ reference: { sha256, length, format }, place: { path, offset } }) => [
      sha256,
      { path, offset, length, format },
    ]),
  );
}

/** Bytes in a result, as they cross the border of a thread or process. */
export interface PayloadDraft {
  readonly [PAYLOAD_KEY]: { readonly format: PayloadFormat; readonly bytes: Uint8Array };
}

export function payloadDraft(bytes: Uint8Array, format: PayloadFormat): PayloadDraft {
  return { [PAYLOAD_KEY]: { format, bytes } };
}

/** Messages with values in place of drafts. */
export async function withValues(
  messages: readonly unknown[],
  value: (bytes: Uint8Array, format: PayloadFormat) => Promise<Json>,
): Promise<readonly Json[]> {
  const replaced: Json[] = [];
  for (const message of messages) replaced.push((await withValue(message, value)) as Json);
  return replaced;
}

async function withValue(
  node: unknown,
  value: (bytes: Uint8Array, format: PayloadFormat) => Promise<Json>,
): Promise<unknown> {
  if (typeof node !== "object" || node === null) return node;
  if (Array.isArray(node)) return Promise.all(node.map((item) => withValue(item, value)));
  const draft = (node as Partial<PayloadDraft>)[PAYLOAD_KEY];
  if (draft?.bytes instanceof Uint8Array) return value(draft.bytes, isFormat(draft.format) ? draft.format : "raw");
  const fields: [string, unknown][] = [];
  for (const [name, field] of Object.entries(node)) fields.push([name, await withValue(field, value)]);
  return Object.fromEntries(fields);
}
