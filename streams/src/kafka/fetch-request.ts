/**
 * The Fetch request, version 13, of one partition. It is the first that says by its id which topic it means (KIP-516), so that
 * nothing is read from another one of the same name; kafkajs does not know it yet. Besides, kafkajs decodes to single records,
 * and so loses where a batch ends whose records were compacted away, aborted or are markers; then its consumer stands still
 * (tulios/kafkajs#1072).
 *
 * Protocol: kafka.apache.org/protocol, "Fetch API (Key: 1)"; aborted transactions as in KIP-98.
 */
import type { Protocol } from "kafkajs/src/network/connectionPool.js";
import Decoder from "kafkajs/src/protocol/decoder.js";
import Encoder from "kafkajs/src/protocol/encoder.js";
import decodeBatch, { type DecodedBatch, type DecodedRecord } from "kafkajs/src/protocol/recordBatch/v0/decoder.js";
import type { Fetch, Fetched, KafkaRecord, TransactionMarker } from "./driver.ts";

interface FetchAnswer {
  readonly errorCode: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly batches: readonly DecodedBatch[];
}

interface AbortedTransaction {
  readonly producer: string;
  readonly first: number;
}

export const FETCH_KEY = 1;
export const FETCH_VERSION = 13;
/** Of a batch up to where its magic byte tells its form; older forms are not decoded. */
const BATCH_HEAD_BYTES = 61;
const PARTIAL = "KafkaJSPartialMessageError";

export function fetchRequest(fetch: Fetch): Protocol<FetchAnswer> {
  return {
    request: {
      apiKey: FETCH_KEY,
      apiVersion: FETCH_VERSION,
      apiName: "Fetch",
      encode: async () => new Encoder().writeBuffer(encoded(fetch)),
    },
    response: { decode, parse: async (data) => data },
  };
}

const NO_TAGS = 0;
/** Compact arrays and texts count one more than they have. */
const ONE = 2;
const NONE = 1;
const ID_BYTES = 16;
const REQUEST_BYTES_MAX = 128;

function encoded({ topicId, partition, offset, bytesMax, waitMs, committedOnly }: Fetch): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES_MAX);
  let at = bytes.writeInt8(NO_TAGS);
  at = bytes.writeInt32BE(-1, at);
  at = bytes.writeInt32BE(waitMs, at);
  at = bytes.writeInt32BE(1, at);
  at = bytes.writeInt32BE(bytesMax, at);
  at = bytes.writeInt8(committedOnly ? 1 : 0, at);
  // No fetch session: id 0, epoch -1.
  at = bytes.writeInt32BE(0, at);
  at = bytes.writeInt32BE(-1, at);
  at = bytes.writeInt8(ONE, at);
  at += bytes.write(topicId, at, ID_BYTES, "hex");
  at = bytes.writeInt8(ONE, at);
  at = bytes.writeInt32BE(partition, at);
  at = bytes.writeInt32BE(-1, at);
  at = bytes.writeBigInt64BE(BigInt(offset), at);
  at = bytes.writeInt32BE(-1, at);
  at = bytes.writeBigInt64BE(-1n, at);
  at = bytes.writeInt32BE(bytesMax, at);
  // The partition ends, and the topic; nothing is forgotten, and no rack is near.
  for (const byte of [NO_TAGS, NO_TAGS, NONE, NONE, NO_TAGS]) at = bytes.writeInt8(byte, at);
  return bytes.subarray(0, at);
}

async function decode(bytes: Buffer): Promise<FetchAnswer> {
  const decoder = new Decoder(bytes);
  decoder.readTaggedFields();
  decoder.readInt32();
  const errorCode = decoder.readInt16();
  decoder.readInt32();
  if (errorCode !== 0 || decoder.readUVarInt() !== ONE) return { errorCode, aborted: [], batches: [] };
  decoder.readBytes(ID_BYTES);
  decoder.readUVarInt();
  decoder.readInt32();
  const ofPartition = decoder.readInt16();
  for (let skipped = 0; skipped < 3; skipped++) decoder.readInt64();
  const aborted = decoder.readUVarIntArray(abortedOf) ?? [];
  decoder.readInt32();
  const size = decoder.readUVarInt() - 1;
  const batches = size > 0 ? await batchesIn(new Decoder(decoder.readBytes(size))) : [];
  return { errorCode: ofPartition, aborted, batches };
}

function abortedOf(d: Decoder): AbortedTransaction {
  const producer = d.readInt64().toString();
  const first = Number(d.readInt64().toString());
  d.readTaggedFields();
  return { producer, first };
}

async function batchesIn(decoder: Decoder): Promise<readonly DecodedBatch[]> {
  const batches: DecodedBatch[] = [];
  while (decoder.canReadBytes(BATCH_HEAD_BYTES)) {
    try {
      batches.push(await decodeBatch(decoder));
    } catch (error) {
      // The last one may be cut off; it comes whole with the next fetch.
      if ((error as Error).name === PARTIAL) break;
      throw error;
    }
  }
  return batches;
}

/** What an answer holds from `offset` on. */
export function fetched({ batches, aborted }: FetchAnswer, { offset, committedOnly }: Fetch): Fetched {
  const records: KafkaRecord[] = [];
  const markers: TransactionMarker[] = [];
  const ahead = [...aborted].sort((a, b) => a.first - b.first);
  const aborting = new Set<string>();
  let next = offset;
  for (const batch of batches) {
    const last = Number(batch.firstOffset) + batch.lastOffsetDelta;
    for (let first = ahead[0]; first !== undefined && first.first <= last; first = ahead[0]) {
      aborting.add(first.producer);
      ahead.shift();
    }
    next = Math.max(next, last + 1);
    if (batch.isControlBatch) {
      const found = markersOf(batch);
      if (found.some(({ isCommit }) => !isCommit)) aborting.delete(batch.producerId);
      if (!committedOnly) markers.push(...found.filter((marker) => marker.offset >= offset));
    } else if (!(batch.inTransaction && aborting.has(batch.producerId)))
      for (const record of batch.records) if (Number(record.offset) >= offset) records.push(recordOf(record, batch));
  }
  return { records, markers, next };
}

/** The key of a control record is its version and its type: 0 aborts, 1 commits. */
function markersOf({ records, producerId }: DecodedBatch): readonly TransactionMarker[] {
  return records
    .map(({ offset, key }) => ({ offset: Number(offset), producer: producerId, type: key?.readInt16BE(2) ?? -1 }))
    .filter(({ type }) => type === 0 || type === 1)
    .map(({ offset, producer, type }) => ({ offset, producer, isCommit: type === 1 }));
}

function recordOf({ offset, timestamp, key, value, headers }: DecodedRecord, batch: DecodedBatch): KafkaRecord {
  return {
    offset: Number(offset),
    timestampMs: Number(timestamp),
    key,
    value,
    headers,
    producer: batch.producerId,
    isTransactional: batch.inTransaction,
  };
}
