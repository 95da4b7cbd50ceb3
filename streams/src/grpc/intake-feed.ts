/**
 * A feed that others write to: it serves `millrace.v1.Intake`. Each event is acknowledged once it is durable, in the order in which events
 * came over a call; an event that comes again is known by its id. What comes faster than it becomes durable stays with the senders.
 */
import { Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import {
  type Env,
  type Feed,
  type FeedIntake,
  type GrpcListenAddress,
  isJsonObject,
  type Json,
  messageOf,
} from "@millrace/engine";
import { UNSETTLED_MAX, Unsettled } from "../http/unsettled.ts";
import { Connection } from "../resilience/connection.ts";
import { policyOf } from "../resilience/endpoint.ts";
import { DEFAULT_RESILIENCE, type ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { serviceMethod } from "./described-method.ts";
import { asTheyAre } from "./grpc-link.ts";

export interface IntakeFeedOptions {
  /** Its certificate and key, as PEM; with `ca`, who connects must show one that these authorities signed. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string | undefined } | undefined;
  /** Most events that are not durable. Default 1000. */
  readonly unsettledMax?: number;
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

/** `engine/schemas/intake.proto`, without its comments. */
export const INTAKE_PROTO = `syntax = "proto3";

package millrace.v1;

import "google/protobuf/struct.proto";

message Event {
  string id = 1;
  google.protobuf.Value data = 2;
}

message Ack {
  string id = 1;
}

service Intake {
  rpc Publish(stream Event) returns (stream Ack);
}
`;

type PublishCall = ServerDuplexStream<Buffer, Buffer>;

const BYTES_MAX = 16 * 1024 * 1024;
/** A sender whose link crawls is one, too: it is given up after as many times in which it was asked once. */
const PONG_TIMES = 4;
const METHOD = serviceMethod({ text: INTAKE_PROTO, imported: () => undefined }, "millrace.v1.Intake", "Publish", {
  description: {},
  address: {},
});

export function intakeFeed(address: GrpcListenAddress, env: Env, options: IntakeFeedOptions = {}): Feed {
  const [endpoint = ""] = address.endpoints;
  const policy = { ...policyOf(address), ...options.policy };
  const { probeEveryMs } = { ...DEFAULT_RESILIENCE, ...policy };
  const connection = new Connection<IntakeServer>({
    name: `grpc+listen://${endpoint}`,
    endpoints: [endpoint],
    env,
    policy,
    driver: {
      connect: () => IntakeServer.listen(endpoint, options, probeEveryMs),
      // It is this process.
      probe: () => Promise.resolve(),
      ended: (server) => server.ended,
      disconnect: async (server) => server.end(),
    },
  });
  const driver = {
    capabilities: { ordered: true, pause: true, nack: true },
    listen: (server: IntakeServer, intake: FeedIntake) => server.serve(intake),
  };
  return resilientFeed(connection, driver, env);
}

/** A port that listens. Events wait in their calls until {@link serve}. */
class IntakeServer {
  readonly ended: Promise<undefined>;
  readonly #server: Server;
  readonly #calls = new Set<OpenCall>();
  readonly #unsettled: Unsettled;
  #isFull = false;
  #intake: FeedIntake | undefined;
  #end: () => void = () => undefined;

  private constructor({ unsettledMax = UNSETTLED_MAX.count }: IntakeFeedOptions, pingEveryMs: number) {
    this.#server = new Server({
      "grpc.max_receive_message_length": BYTES_MAX,
      "grpc.so_reuseport": 0,
      // Calls of senders that are gone without a word would stay open for ever.
      "grpc.keepalive_time_ms": pingEveryMs,
      "grpc.keepalive_timeout_ms": PONG_TIMES * pingEveryMs,
    });
    this.#unsettled = new Unsettled({ ...UNSETTLED_MAX, count: unsettledMax });
    this.#unsettled.tell((isFull) => this.#hold(isFull));
    this.ended = new Promise((resolve) => {
      this.#end = () => resolve(undefined);
    });
  }

  /** @param pingEveryMs how often a sender is asked whether it is there while nothing comes */
  static async listen(endpoint: string, options: IntakeFeedOptions, pingEveryMs: number): Promise<IntakeServer> {
    const server = new IntakeServer(options, pingEveryMs);
    await server.#bind(endpoint, options);
    return server;
  }

  /** Resolves when it listens no more. */
  async serve(intake: FeedIntake): Promise<void> {
    this.#intake = intake;
    this.#hold(this.#isFull);
    await this.ended;
  }

  end(): void {
    this.#intake = undefined;
    this.#end();
    this.#server.forceShutdown();
  }

  async #bind(endpoint: string, { tls }: IntakeFeedOptions): Promise<void> {
    const method = {
      path: METHOD.path,
      requestStream: true,
      responseStream: true,
      requestSerialize: asTheyAre,
      requestDeserialize: asTheyAre,
      responseSerialize: asTheyAre,
      responseDeserialize: asTheyAre,
    };
    this.#server.addService({ Publish: method }, { Publish: (call: PublishCall) => this.#open(call) });
    const credentials = tls === undefined ? ServerCredentials.createInsecure() : secure(tls);
    await new Promise<void>((resolve, reject) =>
      this.#server.bindAsync(endpoint, credentials, (error) => (error === null ? resolve() : reject(error))),
    );
  }

  #open(call: PublishCall): void {
    const open = new OpenCall(call);
    this.#calls.add(open);
    const over = (): void => {
      this.#calls.delete(open);
    };
    call.on("cancelled", over);
    call.on("close", over);
    call.on("data", (bytes: Buffer) => this.#take(open, bytes));
    call.on("end", () => open.finish());
    open.hold(this.#isFull || this.#intake === undefined);
  }

  #take(open: OpenCall, bytes: Buffer): void {
    // What its sender had on the way behind an event that was refused.
    if (open.isRefused) return;
    let event: Json;
    try {
      event = METHOD.request.decode(bytes);
    } catch (cause) {
      open.refuse(`an event is no ${METHOD.request.name}: ${messageOf(cause)}`);
      return;
    }
    const { id = "", data = null } = isJsonObject(event) ? event : {};
    const settled = this.#unsettled.add(bytes.length);
    const acknowledge = open.awaits(METHOD.answer.encode({ id }));
    const settle = (): void => {
      settled();
      acknowledge();
    };
    this.#intake?.take(data, { settle, ...(id === "" ? {} : { id: String(id) }) });
  }

  #hold(isFull: boolean): void {
    this.#isFull = isFull;
    for (const call of this.#calls) call.hold(isFull);
  }
}

/** Acknowledges in the order in which events came. Of a sender that does not read that nothing more is taken. */
class OpenCall {
  readonly #call: PublishCall;
  #isHeld = false;
  /** Acknowledgements wait for their reader. */
  #isClogged = false;
  readonly #waiting: { readonly ack: Buffer; isDurable: boolean }[] = [];
  #isFinished = false;
  #isRefused = false;

  constructor(call: PublishCall) {
    this.#call = call;
    call.on("drain", () => {
      this.#isClogged = false;
      this.hold(this.#isHeld);
    });
  }

  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (isHeld || this.#isClogged) this.#call.pause();
    else this.#call.resume();
  }

  /** Returns what is to be called once the event is durable. */
  awaits(ack: Buffer): () => void {
    const event = { ack, isDurable: false };
    this.#waiting.push(event);
    return () => {
      event.isDurable = true;
      this.#acknowledge();
    };
  }

  /** Its sender sends nothing more: the call ends once all is acknowledged. */
  finish(): void {
    this.#isFinished = true;
    this.#acknowledge();
  }

  /** Nothing more is taken of it. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  refuse(details: string): void {
    this.#isRefused = true;
    this.#call.emit("error", { code: status.INVALID_ARGUMENT, details });
  }

  #acknowledge(): void {
    if (this.#isRefused) return;
    for (let [first] = this.#waiting; first?.isDurable === true; [first] = this.#waiting) {
      this.#waiting.shift();
      // Over a call that has ended nobody waits for it; it comes again.
      if (!this.#call.cancelled && !this.#call.write(first.ack)) this.#isClogged = true;
    }
    if (this.#isClogged) this.#call.pause();
    if (this.#isFinished && this.#waiting.length === 0) this.#call.end();
  }
}

function secure({ cert, key, ca }: NonNullable<IntakeFeedOptions["tls"]>): ServerCredentials {
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  return ServerCredentials.createSsl(ca === undefined ? null : Buffer.from(ca), [pair], ca !== undefined);
}
