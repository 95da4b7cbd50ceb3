/** Rows as messages that begin with the id of their schema. */
import { MillraceError } from "@millrace/engine";
import type { EncodeMessage, MessageEncoder } from "../format/message-format.ts";
import { NO_ATTRIBUTES } from "../format/message-parts.ts";
import { compileSchema } from "./compile-schema.ts";
import { registryError, ValueFault } from "./errors.ts";
import type { RegistryClient, SchemaDraft } from "./registry-client.ts";
import type { SchemaCodec } from "./schema-codec.ts";
import { withSchemaId } from "./wire-format.ts";

/** No type of media is registered for what has its schema elsewhere. */
const CONTENT_TYPE = "application/octet-stream";

export interface RegistryTarget {
  /** Name of what is written to: a topic, a subject, a queue. */
  readonly topic: string;
  /** What the subject is named by: TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy. */
  readonly subject: "topic" | "record" | "topic-record";
  /** Written by; absent: the newest of the subject. */
  readonly draft?: SchemaDraft | undefined;
  /** Full name of the record or message; needed without a draft where the subject is named by it. */
  readonly record?: string | undefined;
  /** Registers the draft if the subject does not have it. */
  readonly register: boolean;
}

/** A schema and the id that the registry knows it by. */
interface Target {
  readonly id: number;
  readonly codec: SchemaCodec;
}

export function registryEncoder(client: RegistryClient, target: RegistryTarget): MessageEncoder {
  let found: Promise<EncodeMessage> | undefined;
  return {
    isBinary: true,
    prepared() {
      found ??= find(client, target).then(encodeBy);
      const asked = found;
      asked.catch((error: unknown) => {
        // What may pass is asked for again.
        if (found === asked && !(error instanceof MillraceError && error.kind === "terminal")) found = undefined;
      });
      return asked;
    },
    connection: () => client.status,
    close: () => client.close(),
  };
}

/** @throws REGISTRY-SUBJECT, REGISTRY-TARGET; transient errors: ask again later */
async function find(client: RegistryClient, target: RegistryTarget): Promise<Target> {
  return target.draft === undefined ? newest(client, target) : drafted(client, target, target.draft);
}

async function newest(client: RegistryClient, target: RegistryTarget): Promise<Target> {
  const subject = subjectOf(target, target.record ?? "");
  const schema = await client.latest(subject);
  if (schema === undefined) throw registryError("REGISTRY-SUBJECT", `subject ${subject} has no schema yet`);
  return { id: schema.id, codec: await compiled(client, schema, target.record) };
}

async function drafted(client: RegistryClient, target: RegistryTarget, draft: SchemaDraft): Promise<Target> {
  const codec = await compiled(client, draft, target.record);
  const subject = subjectOf(target, codec.record);
  const id =
    (await client.lookup(subject, draft)) ?? (target.register ? await client.register(subject, draft) : undefined);
  if (id === undefined) throw registryError("REGISTRY-SUBJECT", `subject ${subject} does not have the schema`);
  return { id, codec };
}

/** A schema that no row could be written by is no row's fault. @throws REGISTRY-TARGET */
async function compiled(client: RegistryClient, draft: SchemaDraft, record: string | undefined): Promise<SchemaCodec> {
  try {
    return await compileSchema(await client.text(draft), record);
  } catch (cause) {
    if (cause instanceof MillraceError && cause.code === "REGISTRY-SCHEMA")
      throw registryError("REGISTRY-TARGET", cause.message, { cause });
    throw cause;
  }
}

function subjectOf({ subject, topic }: RegistryTarget, record: string): string {
  if (subject === "topic") return `${topic}-value`;
  if (record === "")
    throw registryError("REGISTRY-TARGET", "the schema has no name that the subject could be named by");
  return subject === "record" ? record : `${topic}-${record}`;
}

function encodeBy({ id, codec }: Target): EncodeMessage {
  return (row) => {
    try {
      const body = withSchemaId(id, codec.encode(row));
      return { body, contentType: CONTENT_TYPE, attributes: NO_ATTRIBUTES, event: undefined };
    } catch (cause) {
      if (!(cause instanceof ValueFault)) throw cause;
      const message = `a row does not fit schema ${id} at ${cause.path}: ${cause.message}`;
      throw registryError("REGISTRY-VALUE", message, { cause, details: { id, path: cause.path } });
    }
  };
}
