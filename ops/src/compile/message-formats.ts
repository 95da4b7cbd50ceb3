/** How the messages of a source or sink are encoded: by a schema registry, its secrets put in, as events, or as JSON. */
import { readFileSync } from "node:fs";
import {
  extensionOf,
  messageOf,
  type Place,
  type SinkRegistryDefinition,
  type SourceRegistryDefinition,
} from "@millrace/engine";
import type { EventMode, MessageDecoder, MessageEncoder } from "@millrace/streams/format";
import type { RegistryClient, SchemaDraft, SchemaType } from "@millrace/streams/registry";
import { opsError } from "../errors.ts";
import { certificates } from "./certificates.ts";
import type { CompileContext } from "./compile-context.ts";
import { withSecrets } from "./secrets.ts";

/** Where a node says it. */
type PlaceOf = (...keys: readonly string[]) => Place;

/** A function that makes the decoder: each incarnation of a feed has its own. `undefined`: messages are JSON. @throws HOST-CONNECTOR */
export async function decoderOf(
  registry: SourceRegistryDefinition | undefined,
  context: CompileContext,
  place: PlaceOf,
): Promise<() => MessageDecoder | undefined> {
  if (registry === undefined) return () => undefined;
  const { registryDecoder } = await import("@millrace/streams/registry");
  const client = await clientOf(registry, context, place);
  return () => registryDecoder(client());
}

/** What a node says of how its messages are encoded. */
export interface SaidOfMessages {
  readonly registry?: SinkRegistryDefinition | undefined;
  /** Rows are events, in this mode. Of those that a registry's schema describes it says nothing. */
  readonly events?: EventMode | undefined;
}

/**
 * A function that makes the encoder: each incarnation has its own. `undefined`: messages are JSON.
 *
 * @param topic name of what is written to
 * @throws HOST-CONNECTOR
 */
export async function encoderOf(
  { registry, events }: SaidOfMessages,
  topic: string,
  context: CompileContext,
  place: PlaceOf,
): Promise<() => MessageEncoder | undefined> {
  if (registry === undefined) return eventEncoderOf(events);
  const { registryEncoder } = await import("@millrace/streams/registry");
  const client = await clientOf(registry, context, place);
  const { subject = "topic", record, register = false } = registry;
  const draft = await draftOf(registry, context, place);
  return () => registryEncoder(client(), { topic, subject, record, register, draft });
}

async function eventEncoderOf(mode: EventMode | undefined): Promise<() => MessageEncoder | undefined> {
  if (mode === undefined) return () => undefined;
  const { eventEncoder } = await import("@millrace/streams/format");
  return () => eventEncoder(mode);
}

async function clientOf(
  { url, auth, ca, allow = [] }: SourceRegistryDefinition,
  context: CompileContext,
  place: PlaceOf,
): Promise<() => RegistryClient> {
  const { env, resilience: policy } = context.options;
  const put = (text: string, ...keys: readonly string[]): string => withSecrets(text, context, place(...keys));
  const urls = put(url, "url")
    .split(",")
    .map((one) => one.trim());
  const isAddress = (one: string): boolean => URL.canParse(one) && /^https?:$/.test(new URL(one).protocol);
  if (!urls.every(isAddress))
    // The text may hold a secret.
    throw opsError("HOST-CONNECTOR", "the address of the registry, with its secrets, is none", { place: place("url") });
  const pem = certificates(ca, context, place("ca"));
  const authorization = auth === undefined ? undefined : authorizationOf(auth, (text) => put(text, "auth"));
  const { RegistryClient } = await import("@millrace/streams/registry");
  const { guardedHttpClient } = await import("@millrace/streams/http");
  return () =>
    new RegistryClient({ urls, authorization, env, policy, http: () => guardedHttpClient({ allow, ca: pem }, env) });
}

type Auth = NonNullable<SourceRegistryDefinition["auth"]>;

/** The graph's check has seen to it that what a type needs is there. */
function authorizationOf({ type, user = "", password = "", token = "" }: Auth, put: (text: string) => string): string {
  if (type === "bearer") return `Bearer ${put(token)}`;
  return `Basic ${Buffer.from(`${put(user)}:${put(password)}`).toString("base64")}`;
}

const TYPES: ReadonlyMap<string, SchemaType> = new Map([
  ["avsc", "AVRO"],
  ["proto", "PROTOBUF"],
  ["json", "JSON"],
]);

async function draftOf(
  { schema, references = [] }: SinkRegistryDefinition,
  context: CompileContext,
  place: PlaceOf,
): Promise<SchemaDraft | undefined> {
  if (schema === undefined) return undefined;
  const type = TYPES.get(extensionOf(schema)) ?? "AVRO";
  try {
    await context.pin(schema);
    return { type, schema: readFileSync(context.path(schema), "utf8"), references };
  } catch (cause) {
    const message = `the schema cannot be read: ${messageOf(cause)}`;
    throw opsError("HOST-CONNECTOR", message, { place: place("schema"), cause });
  }
}
