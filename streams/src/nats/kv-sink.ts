/**
 * Puts rows into a key-value bucket, each under the value of one of its fields. A row that is delivered again after a crash
 * overwrites its key with the same value; while it does, readers may see an older value again.
 */
import { fieldOf, type InputSlice, type Json } from "@millrace/engine";
import type { NatsConnection } from "nats";
import type { EncodeMessage } from "../format/message-format.ts";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { natsError } from "./errors.ts";
import { refuseTooLarge } from "./jetstream-sink.ts";
import { publishFailure } from "./publish-failure.ts";

export interface KvSinkOptions {
  readonly bucket: string;
  /** Field of a row that its key is in. */
  readonly key: string;
}

const KEY = /^[-/_=.a-zA-Z0-9]+$/;
const IN_FLIGHT_MAX = 256;
const ANSWER_MS = 5000;

export function kvSink({ bucket, key }: KvSinkOptions): MessageSinkDriver<NatsConnection> {
  return {
    guarantee: "at-least-once",
    async open(nc) {
      const jsm = await nc.jetstreamManager({ checkAPI: false });
      await jsm.streams.info(`KV_${bucket}`).catch((cause: unknown) => {
        throw new Error(`there is no key-value bucket ${bucket}`, { cause });
      });
    },
    async deliver(nc, slices, encode) {
      await putAll(nc, { bucket, key }, slices, encode).catch((error: unknown) => {
        throw publishFailure(error, `bucket ${bucket}`);
      });
      return null;
    },
  };
}

async function putAll(
  nc: NatsConnection,
  { bucket, key: field }: KvSinkOptions,
  slices: readonly InputSlice[],
  encode: EncodeMessage,
): Promise<void> {
  const js = nc.jetstream();
  const inFlight: Promise<unknown>[] = [];
  for (const row of slices.flatMap(({ batch }) => batch.rows())) {
    const { body } = encode(row);
    refuseTooLarge(nc, body);
    if (inFlight.length === IN_FLIGHT_MAX) await inFlight.shift();
    const put = js.publish(`$KV.${bucket}.${keyOf(row, field, bucket)}`, body, { timeout: ANSWER_MS });
    // All are put again if one fails, so those behind it need no answer.
    put.catch(() => undefined);
    inFlight.push(put);
  }
  await Promise.all(inFlight);
}

function keyOf(row: Json, field: string, bucket: string): string {
  const value = fieldOf(row, field);
  const key = typeof value === "string" || typeof value === "number" ? String(value) : "";
  if (KEY.test(key) && key.split(".").every((token) => token !== "")) return key;
  throw natsError("NATS-KEY", `a row for bucket ${bucket} has ${JSON.stringify(value) ?? "nothing"} in \`${field}\``);
}
