/**
 * The layer of kafkajs below its consumer and producer: one broker, one request, one answer. It has no types of its own, and
 * its version is pinned exactly. Only what the driver uses is declared.
 */
declare module "kafkajs/src/loggers/index.js" {
  export interface Logger {
    namespace(name: string): Logger;
  }
  const loggers: {
    readonly createLogger: (options: { level: number; logCreator: () => (entry: unknown) => void }) => Logger;
  };
  export default loggers;
}

declare module "kafkajs/src/protocol/message/compression/index.js" {
  export interface Codec {
    compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
    decompress(buffer: Buffer): Promise<Buffer>;
  }
  const compression: { readonly Codecs: Record<number, () => Codec> };
  export default compression;
}

declare module "kafkajs/src/protocol/encoder.js" {
  export default class Encoder {
    writeBuffer(bytes: Buffer): Encoder;
  }
}

declare module "kafkajs/src/protocol/decoder.js" {
  export default class Decoder {
    constructor(bytes: Buffer);
    canReadBytes(n: number): boolean;
    forward(n: number): void;
    readAll(): Buffer;
    readBoolean(): boolean;
    readBytes(n?: number): Buffer;
    readInt8(): number;
    readInt16(): number;
    readInt32(): number;
    readInt64(): { toString(): string };
    readString(): string;
    readArray<T>(read: (decoder: Decoder) => T): T[];
    readTaggedFields(): unknown;
    readUVarInt(): number;
    /** `null` for a null array. */
    readUVarIntArray<T>(read: (decoder: Decoder) => T): T[] | null;
    readUVarIntString(): string | null;
  }
}

declare module "kafkajs/src/protocol/recordBatch/v0/decoder.js" {
  import type Decoder from "kafkajs/src/protocol/decoder.js";
  export interface DecodedRecord {
    readonly offset: string;
    readonly timestamp: string;
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly headers: Readonly<Record<string, Buffer | null | readonly (Buffer | null)[]>>;
  }
  export interface DecodedBatch {
    readonly firstOffset: string;
    readonly lastOffsetDelta: number;
    readonly producerId: string;
    readonly inTransaction: boolean;
    readonly isControlBatch: boolean;
    readonly records: readonly DecodedRecord[];
  }
  /** Rejects with a KafkaJSPartialMessageError when the batch was cut off. */
  export default function decode(decoder: Decoder): Promise<DecodedBatch>;
}

declare module "kafkajs/src/network/connectionPool.js" {
  import type { Socket } from "node:net";
  import type { Logger } from "kafkajs/src/loggers/index.js";
  import type Encoder from "kafkajs/src/protocol/encoder.js";
  export interface SocketRequest {
    readonly host: string;
    readonly port: number;
    readonly ssl: object | null;
    readonly onConnect: () => void;
  }
  export interface PoolOptions {
    readonly host: string;
    readonly port: number;
    readonly logger: Logger;
    readonly clientId: string;
    readonly ssl: object | null;
    readonly sasl: object | null;
    readonly requestTimeout: number;
    readonly connectionTimeout: number;
    /** How long before a login ends it is done again, in ms. */
    readonly reauthenticationThreshold: number;
    readonly enforceRequestTimeout: boolean;
    readonly socketFactory: (request: SocketRequest) => Socket;
  }
  export interface Protocol<T> {
    readonly request: {
      readonly apiKey: number;
      readonly apiVersion: number;
      readonly apiName: string;
      encode(): Promise<Encoder>;
    };
    readonly response: { decode(bytes: Buffer): Promise<T>; parse(data: T): Promise<T> };
    readonly requestTimeout?: number;
  }
  export default class ConnectionPool {
    constructor(options: PoolOptions);
    readonly host: string;
    readonly port: number;
    readonly pool: readonly { rejectRequests(error: Error): void }[];
    send<T>(protocol: Protocol<T>): Promise<T>;
    destroy(): Promise<void>;
  }
}

declare module "kafkajs/src/broker/index.js" {
  import type { Logger } from "kafkajs/src/loggers/index.js";
  import type ConnectionPool from "kafkajs/src/network/connectionPool.js";
  export interface TopicPartitions {
    readonly topic: string;
    readonly partitions: readonly object[];
  }
  export interface ListedOffsets {
    readonly responses: readonly { readonly partitions: readonly { readonly offset: string }[] }[];
  }
  export interface Produced {
    readonly topics: readonly {
      readonly partitions: readonly { readonly baseOffset: string; readonly logStartOffset?: string }[];
    }[];
  }
  export interface Transacting {
    readonly transactionalId: string;
    readonly producerId: string;
    readonly producerEpoch: number;
  }
  export default class Broker {
    constructor(options: { connectionPool: ConnectionPool; logger: Logger; authenticationTimeout: number });
    readonly connectionPool: ConnectionPool;
    readonly versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>;
    connect(): Promise<void>;
    apiVersions(): Promise<unknown>;
    listOffsets(request: {
      replicaId: number;
      isolationLevel: number;
      topics: readonly TopicPartitions[];
    }): Promise<ListedOffsets>;
    findGroupCoordinator(request: {
      groupId: string;
      coordinatorType: number;
    }): Promise<{ readonly coordinator: { readonly host: string; readonly port: number } }>;
    offsetCommit(request: {
      groupId: string;
      groupGenerationId: number;
      memberId: string;
      topics: readonly TopicPartitions[];
    }): Promise<unknown>;
    createTopics(request: { topics: readonly object[]; timeout: number }): Promise<unknown>;
    deleteRecords(request: { topics: readonly TopicPartitions[] }): Promise<unknown>;
    initProducerId(request: {
      transactionalId?: string;
      transactionTimeout: number;
    }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>;
    addPartitionsToTxn(request: Transacting & { topics: readonly object[] }): Promise<unknown>;
    endTxn(request: Transacting & { transactionResult: boolean }): Promise<unknown>;
    produce(request: {
      acks: number;
      timeout: number;
      compression: number;
      transactionalId?: string;
      producerId: string;
      producerEpoch: number;
      topicData: readonly TopicPartitions[];
    }): Promise<Produced>;
  }
}
