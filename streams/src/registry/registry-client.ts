/**
 * A client of a schema registry (the REST interface of Confluent's, which Karapace and Apicurio serve, too) over the `HttpClient`
 * port and the resilience layer: while no registry answers, whoever asks waits, and its state says why. What a registry once
 * said of an id never changes, so it is asked once; what it does not know is asked again after a while.
 */
import {
  type ConnectionStatus,
  type Env,
  type HttpAnswer,
  type HttpClient,
  isJsonObject,
  type Json,
  MillraceError,
  messageOf,
} from "@millrace/engine";
import { LRUCache } from "lru-cache";
import { Connection } from "../resilience/connection.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { compileSchema } from "./compile-schema.ts";
import { registryError } from "./errors.ts";
import type { ReferredSchema, SchemaCodec, SchemaText, SchemaType } from "./schema-codec.ts";

export interface SchemaReference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

/** A schema as it is given to a registry. */
export interface SchemaDraft {
  readonly type: SchemaType;
  readonly schema: string;
  readonly references: readonly SchemaReference[];
}

export interface RegisteredSchema extends SchemaDraft {
  readonly id: number;
}

export interface RegistryOptions {
  /** In order of preference. At least one. */
  readonly urls: readonly string[];
  /** Value of the `authorization` header. */
  readonly authorization?: string | undefined;
  /** Made when it is first needed; closed with the client. */
  readonly http: () => HttpClient;
  readonly env: Env;
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

const MEDIA = "application/vnd.schemaregistry.v1+json";
const DEADLINE_MS = 10_000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Schemas that are kept; one of a thousand fields takes about a megabyte. */
const SCHEMAS_MAX = 1000;
/** What is wrong with a schema stays so; an id that is unknown may be known to the next node of a registry a moment later. */
const KEPT_FAULTS_MS: ReadonlyMap<string, number> = new Map([
  ["REGISTRY-SCHEMA", Number.POSITIVE_INFINITY],
  ["REGISTRY-UNKNOWN", 10_000],
]);
const REFERENCES_MAX = 200;
/** It is asked when a schema is needed, which is seldom; that it is away meanwhile harms nobody. */
const PROBE_MS = 3_600_000;

interface KnownCodec {
  readonly codec: Promise<SchemaCodec>;
  /** What became of it. */
  found?: SchemaCodec | MillraceError;
  /** Monotonic ms from which on it is asked for again. */
  untilMs: number;
}

/** The address of the registry that answers. */
interface Session {
  readonly url: string;
}

export class RegistryClient {
  readonly #options: RegistryOptions;
  readonly #connection: Connection<Session>;
  readonly #codecs = new LRUCache<number, KnownCodec>({ max: SCHEMAS_MAX });
  #http: HttpClient | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
    const urls = named(options.urls);
    const urlOf = (endpoint: string): string => urls.get(endpoint) ?? "";
    this.#connection = new Connection({
      name: options.urls.map(originOf).join(","),
      endpoints: [...urls.keys()],
      env: options.env,
      policy: { ...options.policy, probeEveryMs: PROBE_MS },
      driver: {
        connect: async (endpoint) => {
          const url = urlOf(endpoint);
          await this.#greet(url);
          return { url };
        },
        probe: ({ url }) => this.#greet(url),
        ended: () => new Promise(() => undefined),
        disconnect: async () => undefined,
      },
    });
  }

  get status(): ConnectionStatus {
    return this.#connection.status;
  }

  /** @throws REGISTRY-UNKNOWN, REGISTRY-SCHEMA; transient errors: ask again later */
  codec(id: number): Promise<SchemaCodec> {
    const { clock } = this.#options.env;
    const known = this.#codecs.get(id);
    if (known !== undefined && known.untilMs > clock.monotonic()) return known.codec;
    const fetched: KnownCodec = { codec: this.#fetch(id), untilMs: Number.POSITIVE_INFINITY };
    this.#codecs.set(id, fetched);
    fetched.codec.then(
      (codec) => {
        fetched.found = codec;
      },
      (error: unknown) => {
        const keptMs = error instanceof MillraceError ? KEPT_FAULTS_MS.get(error.code) : undefined;
        if (keptMs !== undefined) fetched.found = error as MillraceError;
        fetched.untilMs = clock.monotonic() + (keptMs ?? 0);
      },
    );
    return fetched.codec;
  }

  /** What is known of an id without asking: its codec, or what is wrong with it (REGISTRY-UNKNOWN, REGISTRY-SCHEMA). */
  known(id: number): SchemaCodec | MillraceError | undefined {
    const known = this.#codecs.get(id);
    return known !== undefined && known.untilMs > this.#options.env.clock.monotonic() ? known.found : undefined;
  }

  /** The newest schema of a subject. `undefined`: there is none. */
  async latest(subject: string): Promise<RegisteredSchema | undefined> {
    const answer = await this.#ask("GET", `/subjects/${encodeURIComponent(subject)}/versions/latest`);
    if (isAbsent(answer)) return undefined;
    const body = bodyOf(answer);
    return { ...draftOf(body), id: Number(body.id) };
  }

  /** The id of a schema that the subject has. `undefined`: it does not have it. */
  async lookup(subject: string, draft: SchemaDraft): Promise<number | undefined> {
    const answer = await this.#ask("POST", `/subjects/${encodeURIComponent(subject)}`, draft);
    return isAbsent(answer) ? undefined : Number(bodyOf(answer).id);
  }

  /** The id that the registry gives to the schema. @throws REGISTRY-TARGET it refuses the schema */
  async register(subject: string, draft: SchemaDraft): Promise<number> {
    const answer = await this.#ask("POST", `/subjects/${encodeURIComponent(subject)}/versions`, draft);
    if (answer.status === 409 || answer.status === 422)
      throw registryError("REGISTRY-TARGET", `the registry refuses the schema for ${subject}: ${reasonOf(answer)}`);
    return Number(bodyOf(answer).id);
  }

  /** The schema with all that it refers to. @throws REGISTRY-SCHEMA what it refers to is not there, or too much */
  async text({ type, schema, references }: SchemaDraft): Promise<SchemaText> {
    const found = new Map<string, ReferredSchema>();
    await this.#collect(references, found, new Set());
    return { type, schema, references: [...found.values()] };
  }

  /** Ends what is under way, and the HTTP client. */
  async close(): Promise<void> {
    await this.#connection.disconnect();
    const http = this.#http;
    this.#http = undefined;
    await http?.close();
  }

  async #fetch(id: number): Promise<SchemaCodec> {
    const answer = await this.#ask("GET", `/schemas/ids/${id}`);
    if (isAbsent(answer))
      throw registryError("REGISTRY-UNKNOWN", `${this.status.name} has no schema ${id}`, { details: { id } });
    return compileSchema(await this.text(draftOf(bodyOf(answer))));
  }

  /** Depth first, so that each comes after what it refers to. */
  async #collect(
    references: readonly SchemaReference[],
    found: Map<string, ReferredSchema>,
    seen: Set<string>,
  ): Promise<void> {
    for (const { name, subject, version } of references) {
      if (seen.has(name)) continue;
      seen.add(name);
      if (seen.size > REFERENCES_MAX)
        throw registryError("REGISTRY-SCHEMA", `a schema refers to more than ${REFERENCES_MAX} others`);
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}?deleted=true`;
      const answer = await this.#ask("GET", path);
      if (isAbsent(answer))
        throw registryError(
          "REGISTRY-SCHEMA",
          `a schema refers to version ${version} of ${subject}, which is not there`,
        );
      const draft = draftOf(bodyOf(answer));
      await this.#collect(draft.references, found, seen);
      found.set(name, { name, schema: draft.schema });
    }
  }

  async #greet(url: string): Promise<void> {
    const answer = await this.#send(url, "GET", "/schemas/types");
    if (answer.status !== 200 || !Array.isArray(jsonOf(answer)))
      throw registryError("REGISTRY-ANSWER", `it answers ${answer.status} ${reasonOf(answer)}`);
  }

  /** An answer that says something of what was asked. */
  async #ask(method: "GET" | "POST", path: string, draft?: SchemaDraft): Promise<HttpAnswer> {
    // One that was found to be away must not be shown as away until the next schema is needed, which may be tomorrow.
    const session = await this.#connection.keep();
    try {
      const answer = await this.#send(session.url, method, path, draft);
      if (answer.status === 200 || isAbsent(answer) || answer.status === 409 || answer.status === 422) return answer;
      throw new Error(`it answers ${answer.status} ${reasonOf(answer)}`);
    } catch (cause) {
      await this.#connection.suspect(session);
      const message = `${this.status.name} did not answer ${method} ${path}: ${messageOf(cause)}`;
      throw registryError("REGISTRY-ANSWER", message, { cause });
    }
  }

  #send(url: string, method: "GET" | "POST", path: string, draft?: SchemaDraft): Promise<HttpAnswer> {
    this.#http ??= this.#options.http();
    const { authorization } = this.#options;
    return this.#http.request({
      method,
      url: url.replace(/\/+$/, "") + path,
      headers: {
        accept: `${MEDIA}, application/json`,
        ...(authorization === undefined ? {} : { authorization }),
        ...(draft === undefined ? {} : { "content-type": MEDIA }),
      },
      ...(draft === undefined ? {} : { body: new TextEncoder().encode(JSON.stringify(wireDraft(draft))) }),
      deadlineMs: DEADLINE_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
    });
  }
}

const originOf = (url: string): string => new URL(url).origin;

/** Addresses by their names for people, who see nothing of them that may be a secret. */
function named(urls: readonly string[]): ReadonlyMap<string, string> {
  const byName = new Map<string, string>();
  for (const [i, url] of urls.entries()) {
    const name = originOf(url);
    byName.set(byName.has(name) ? `${name} (${i + 1})` : name, url);
  }
  return byName;
}

function wireDraft({ type, schema, references }: SchemaDraft): object {
  return {
    schema,
    // Registries from before there were types take it so.
    ...(type === "AVRO" ? {} : { schemaType: type }),
    ...(references.length === 0 ? {} : { references }),
  };
}

function jsonOf({ body }: HttpAnswer): Json | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as Json;
  } catch {
    return undefined;
  }
}

/** Subject, version or schema not found; a 404 of anything but a registry says nothing of them. */
function isAbsent(answer: HttpAnswer): boolean {
  if (answer.status !== 404) return false;
  const body = jsonOf(answer);
  return isJsonObject(body) && /^404\d\d$/.test(String(body.error_code));
}

/** @throws REGISTRY-ANSWER it is no answer of a registry */
function bodyOf(answer: HttpAnswer): Readonly<Record<string, Json>> {
  const body = jsonOf(answer);
  if (isJsonObject(body) && (answer.status === 200 || answer.status < 400)) return body;
  throw registryError("REGISTRY-ANSWER", `it answers ${answer.status} ${reasonOf(answer)}`);
}

const REASON_MAX = 300;

function reasonOf(answer: HttpAnswer): string {
  const body = jsonOf(answer);
  const message = isJsonObject(body) ? body.message : undefined;
  return (typeof message === "string" ? message : "").slice(0, REASON_MAX);
}

function draftOf(body: Readonly<Record<string, Json>>): SchemaDraft {
  const { schema, schemaType = "AVRO", references } = body;
  if (typeof schema !== "string") throw registryError("REGISTRY-ANSWER", "it answers without a schema");
  // Kinds that are not known are refused where the schema is compiled.
  return {
    type: String(schemaType) as SchemaType,
    schema,
    references: Array.isArray(references) ? references.map(referenceOf) : [],
  };
}

function referenceOf(reference: Json): SchemaReference {
  const { name, subject, version } = isJsonObject(reference) ? reference : {};
  return { name: String(name), subject: String(subject), version: Number(version) };
}
