/** A gRPC service in the test's process: a box whose items are read and that takes items, in every way that a method can. */
import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import {
  type Env,
  type GrpcAddress,
  isJsonObject,
  type Json,
  type JsonObject,
  parseGrpcAddress,
  systemEnv,
} from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { onTestFinished } from "vitest";
import { type ServiceMethod, serviceMethod } from "../../src/grpc/mod.ts";

export const BOX = `
  syntax = "proto3";
  package test;
  import "google/protobuf/struct.proto";
  message Inner { repeated google.protobuf.Value list = 1; }
  message Item { int64 id = 1; string name = 2; optional double amount = 3; optional bytes filling = 4; Inner inner = 5; }
  message Ask { optional int64 after = 1; optional string token = 2; }
  message Page { repeated Item items = 1; optional int64 last = 2; int64 upto = 3; string next = 4; }
  message Put { string key = 1; Item item = 2; }
  message Ack { string key = 1; string refused = 2; }
  service Box {
    rpc Follow(Ask) returns (stream Item);
    rpc List(Ask) returns (Page);
    rpc Add(Item) returns (Ack);
    rpc Put(Put) returns (Ack);
    rpc Load(stream Put) returns (Ack);
    rpc Sync(stream Put) returns (stream Ack);
  }`;

const METHODS = ["Follow", "List", "Add", "Put", "Load", "Sync"] as const;
export type BoxMethod = (typeof METHODS)[number];
const PAGE = 7;

export function boxMethod(method: string): ServiceMethod {
  const places = { description: { path: "proto" }, address: { path: "address" } };
  return serviceMethod({ text: BOX, imported: () => undefined }, "test.Box", method, places);
}

/** A status with which a call is refused. */
export interface Failure {
  readonly code: status;
  readonly details?: string;
  readonly pushbackMs?: number;
}

/** A row, or bytes as they are. */
type BoxItem = JsonObject | Buffer;

export class GrpcBox {
  /** What is read. */
  readonly items: BoxItem[] = [];
  readonly held: { readonly id: string; readonly item: Json }[] = [];
  /** By id, of items that are refused. */
  readonly refused = new Map<Json, Failure>();
  /** Calls that fail, the first ones first. */
  readonly failures: Failure[] = [];
  /** What calls asked for. */
  readonly asked: Json[] = [];
  /** How many items left the process of the service. */
  written = 0;
  /** Acknowledges nothing. */
  isSilent = false;
  /** What is acknowledged instead of the id that came. */
  acknowledges: string | undefined;
  /** A stream ends where its items do. */
  ends = false;
  /** What is asked for behind an item begins with that. */
  isInclusive = false;
  port = 0;
  readonly #forms = Object.fromEntries(METHODS.map((name) => [name, boxMethod(name)])) as Record<
    BoxMethod,
    ServiceMethod
  >;
  readonly #following = new Set<ServerWritableStream<Json, Buffer>>();
  #syncing: ServerDuplexStream<JsonObject, Json> | undefined;
  #server = new Server();

  static async start(): Promise<GrpcBox> {
    const box = new GrpcBox();
    await box.start();
    return box;
  }

  async start(): Promise<void> {
    this.#server = new Server();
    const handlers = {
      Follow: this.#follow,
      List: this.#list,
      Add: this.#put,
      Put: this.#put,
      Load: this.#load,
      Sync: this.#sync,
    };
    this.#server.addService(this.#definition(), handlers as never);
    this.port = await new Promise((resolve, reject) =>
      this.#server.bindAsync(`127.0.0.1:${this.port}`, ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    );
  }

  address(method: BoxMethod, side: "source" | "sink", options = ""): GrpcAddress {
    const parsed = parseGrpcAddress(`//127.0.0.1:${this.port}/test.Box/${method}${options}`, side);
    if ("fault" in parsed) throw new Error(parsed.fault);
    return parsed;
  }

  offer(items: readonly BoxItem[]): void {
    this.items.push(...items);
    for (const call of this.#following) this.#write(call);
  }

  /** Says over the call that streams both ways that the item of this id is taken. */
  acknowledge(id: string): void {
    this.#syncing?.write({ key: id });
  }

  /** Breaks every connection; those that come are let through. */
  breakConnections(): void {
    this.#server.drain(`127.0.0.1:${this.port}`, 0);
  }

  /** Fails every call that is open. */
  breakCalls(): void {
    for (const call of this.#following) call.emit("error", { code: status.UNAVAILABLE, details: "broken" });
    this.#following.clear();
  }

  async close(): Promise<void> {
    this.#server.forceShutdown();
  }

  #definition(): ServiceDefinition {
    const asTheyAre = (bytes: Buffer): Buffer => bytes;
    return Object.fromEntries(
      METHODS.map((name) => {
        const { path, takesMany, givesMany, request, answer } = this.#forms[name];
        return [
          name,
          {
            path,
            requestStream: takesMany,
            responseStream: givesMany,
            requestSerialize: asTheyAre,
            requestDeserialize: (bytes: Buffer) => request.decode(bytes),
            responseSerialize: (row: BoxItem) => (Buffer.isBuffer(row) ? row : answer.encode(row as JsonObject)),
            responseDeserialize: asTheyAre,
          },
        ];
      }),
    ) as unknown as ServiceDefinition;
  }

  #failure(): object | undefined {
    const failure = this.failures.shift();
    return failure === undefined ? undefined : errorOf(failure);
  }

  readonly #follow = (call: ServerWritableStream<Json, Buffer>): void => {
    this.asked.push(call.request);
    const failure = this.#failure();
    if (failure !== undefined) {
      call.emit("error", failure);
      return;
    }
    this.#places.set(call, this.#after(call.request));
    this.#following.add(call);
    call.on("cancelled", () => this.#following.delete(call));
    call.on("drain", () => this.#write(call));
    this.#write(call);
  };

  readonly #places = new Map<ServerWritableStream<Json, Buffer>, number>();

  #write(call: ServerWritableStream<Json, Buffer>): void {
    let at = this.#places.get(call) ?? 0;
    for (; at < this.items.length; at++) {
      const hasRoom = call.write(this.items[at] as never);
      this.written++;
      if (!hasRoom) {
        this.#places.set(call, at + 1);
        return;
      }
    }
    this.#places.set(call, at);
    if (!this.ends) return;
    this.#following.delete(call);
    call.end();
  }

  /** Where an item stands that is behind the one with this id. */
  #after(ask: Json): number {
    const after = isJsonObject(ask) ? ask.after : undefined;
    if (after === undefined) return 0;
    const at = this.items.findIndex((item) => !Buffer.isBuffer(item) && (item as JsonObject).id === after);
    return this.isInclusive ? at : at + 1;
  }

  readonly #list: handleUnaryCall<Json, Json> = ({ request }, answer) => {
    this.asked.push(request);
    const failure = this.#failure();
    if (failure !== undefined) {
      answer(failure as never);
      return;
    }
    const from = this.#after(request);
    const items = this.items.slice(from, from + PAGE) as JsonObject[];
    const upto = items.at(-1)?.id;
    answer(null, upto === undefined ? { items } : { items, upto });
  };

  readonly #put = (
    call: ServerUnaryCall<JsonObject, Json>,
    answer: Parameters<handleUnaryCall<Json, Json>>[1],
  ): void => {
    const failure = this.#failure() ?? this.#refusal(call.request);
    if (failure !== undefined) {
      answer(failure as never);
      return;
    }
    this.held.push({ id: String(call.metadata.get("idempotency-key")[0]), item: call.request.item ?? call.request });
    if (!this.isSilent) answer(null, {});
  };

  readonly #load = (
    call: ServerReadableStream<JsonObject, Json>,
    answer: (error: unknown, row?: Json) => void,
  ): void => {
    const failure = this.#failure();
    if (failure !== undefined) {
      answer(failure);
      return;
    }
    let refusal: object | undefined;
    call.on("data", (put: JsonObject) => {
      refusal ??= this.#refusal(put);
      if (refusal === undefined) this.held.push({ id: String(put.key), item: put.item ?? null });
    });
    call.on("end", () => (refusal === undefined ? answer(null, {}) : answer(refusal)));
  };

  readonly #sync = (call: ServerDuplexStream<JsonObject, Json>): void => {
    const failure = this.#failure();
    if (failure !== undefined) {
      call.emit("error", failure);
      return;
    }
    this.#syncing = call;
    call.on("data", (put: JsonObject) => {
      const { item = null, key = "" } = put;
      const refused = isJsonObject(item) ? this.refused.get(item.id ?? null) : undefined;
      if (refused !== undefined) call.write({ key, refused: refused.details ?? "refused" });
      else {
        this.held.push({ id: String(key), item });
        if (!this.isSilent) call.write({ key: this.acknowledges ?? key });
      }
    });
    call.on("end", () => call.end());
  };

  #refusal({ item = null }: JsonObject): object | undefined {
    const refused = isJsonObject(item) ? this.refused.get(item.id ?? null) : undefined;
    return refused === undefined ? undefined : errorOf(refused);
  }
}

/** A box that is there as long as the test. */
export async function serve(): Promise<GrpcBox> {
  const box = await GrpcBox.start();
  onTestFinished(() => box.close());
  return box;
}

function errorOf({ code, details = "no", pushbackMs }: Failure): object {
  return { code, details, ...(pushbackMs === undefined ? {} : { metadata: pushback(pushbackMs) }) };
}

function pushback(ms: number): Metadata {
  const metadata = new Metadata();
  metadata.set("grpc-retry-pushback-ms", String(ms));
  return metadata;
}

/** Time that stands still until the test moves it. */
export interface HeldTime {
  readonly env: Env;
  /** What is waited for, or was, in ms. */
  readonly waits: readonly number[];
  advance(ms: number): Promise<void>;
}

export function heldTime(): HeldTime {
  // Deadlines of calls are told by the machine's clock.
  const held = virtualEnv("grpc", { startMs: systemEnv().clock.now() });
  const waits: number[] = [];
  const after: Env["timers"]["after"] = (ms, fire) => {
    waits.push(ms);
    return held.timers.after(ms, fire);
  };
  const { clock, random, turns } = held;
  return { env: { clock, random, turns, timers: { after } }, waits, advance: (ms) => held.advance(ms) };
}
