/**
 * The Metadata request, version 10 (KIP-516): the first that tells the ids of topics, which kafkajs does not know yet. Its
 * header carries tagged fields, here none.
 *
 * Protocol: kafka.apache.org/protocol, "Metadata API (Key: 3)".
 */
import type { Protocol } from "kafkajs/src/network/connectionPool.js";
import Decoder from "kafkajs/src/protocol/decoder.js";
import Encoder from "kafkajs/src/protocol/encoder.js";

export interface ClusterMetadata {
  readonly brokers: readonly { readonly id: number; readonly host: string; readonly port: number }[];
  readonly controller: number;
  readonly topics: readonly TopicMetadata[];
}

export interface TopicMetadata {
  /** 0: none. 3: there is no such topic. */
  readonly errorCode: number;
  readonly name: string | null;
  readonly id: string;
  readonly leaders: ReadonlyMap<number, number>;
}

export const METADATA_KEY = 3;
export const METADATA_VERSION = 10;
const ID_BYTES = 16;

export function metadataRequest(topics: readonly string[]): Protocol<ClusterMetadata> {
  return {
    request: {
      apiKey: METADATA_KEY,
      apiVersion: METADATA_VERSION,
      apiName: "Metadata",
      encode: async () => new Encoder().writeBuffer(encoded(topics)),
    },
    response: { decode: async (bytes) => decoded(new Decoder(bytes)), parse: async (data) => data },
  };
}

const NO_TAGS = 0;
const FALSE = 0;

function encoded(topics: readonly string[]): Buffer {
  const names = topics.map((topic) => {
    const name = Buffer.from(topic);
    return Buffer.concat([Buffer.alloc(ID_BYTES), uvarint(name.length + 1), name, Buffer.of(NO_TAGS)]);
  });
  // No topic is made by asking for it; nobody asks what is allowed.
  return Buffer.concat([
    Buffer.of(NO_TAGS),
    uvarint(topics.length + 1),
    ...names,
    Buffer.of(FALSE, FALSE, FALSE, NO_TAGS),
  ]);
}

function uvarint(n: number): Buffer {
  const bytes: number[] = [];
  for (let rest = n; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function decoded(decoder: Decoder): ClusterMetadata {
  decoder.readTaggedFields();
  decoder.readInt32();
  const brokers = decoder.readUVarIntArray((d) => {
    const broker = { id: d.readInt32(), host: d.readUVarIntString() ?? "", port: d.readInt32() };
    d.readUVarIntString();
    d.readTaggedFields();
    return broker;
  });
  decoder.readUVarIntString();
  const controller = decoder.readInt32();
  return { brokers: brokers ?? [], controller, topics: decoder.readUVarIntArray(topicOf) ?? [] };
}

function topicOf(d: Decoder): TopicMetadata {
  const errorCode = d.readInt16();
  const name = d.readUVarIntString();
  const id = d.readBytes(ID_BYTES).toString("hex");
  d.readBoolean();
  const leaders = new Map(d.readUVarIntArray(leaderOf) ?? []);
  d.readInt32();
  d.readTaggedFields();
  return { errorCode, name, id, leaders };
}

function leaderOf(d: Decoder): readonly [partition: number, leader: number] {
  d.readInt16();
  const partition = d.readInt32();
  const leader = d.readInt32();
  d.readInt32();
  for (let list = 0; list < 3; list++) d.readUVarIntArray((n) => n.readInt32());
  d.readTaggedFields();
  return [partition, leader];
}
