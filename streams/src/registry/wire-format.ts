/**
 * The wire format of Confluent's serializers: a zero byte, the id of the schema as four bytes, the message. Protobuf has
 * between them which message of the file it is: a count, and one index for each level; a single zero for the first message.
 */
import { AvroReader, AvroWriter } from "./avro-bytes.ts";
import { registryError, ValueFault } from "./errors.ts";

const MAGIC = 0;
const HEAD_BYTES = 5;
const LEVELS_MAX = 32;

/** @throws REGISTRY-BYTES it does not begin so */
export function schemaIdOf(value: Uint8Array): number {
  if (value.length < HEAD_BYTES || value[0] !== MAGIC)
    throw registryError("REGISTRY-BYTES", "it does not begin with a zero byte and the id of a schema");
  return new DataView(value.buffer, value.byteOffset).getInt32(1);
}

export function bodyOf(value: Uint8Array): Uint8Array {
  return value.subarray(HEAD_BYTES);
}

export function withSchemaId(id: number, body: Uint8Array): Buffer {
  const value = Buffer.alloc(HEAD_BYTES + body.length);
  value.writeInt32BE(id, 1);
  value.set(body, HEAD_BYTES);
  return value;
}

/** Where a message is among those of a file, and what is behind. Indexes are zig-zag varints, as Avro's. @throws ValueFault */
export function messageIndexesOf(body: Uint8Array): {
  readonly indexes: readonly number[];
  readonly message: Uint8Array;
} {
  const reader = new AvroReader(body);
  const count = reader.int();
  if (count < 0 || count > LEVELS_MAX) throw new ValueFault(`${count} is no number of message indexes`);
  const indexes = count === 0 ? [0] : Array.from({ length: count }, () => reader.int());
  return { indexes, message: reader.rest() };
}

export function withMessageIndexes(indexes: readonly number[], message: Uint8Array): Uint8Array {
  const writer = new AvroWriter();
  const isFirst = indexes.length === 1 && indexes[0] === 0;
  for (const number of isFirst ? [0] : [indexes.length, ...indexes]) writer.long(BigInt(number));
  writer.put(message);
  return writer.done();
}
