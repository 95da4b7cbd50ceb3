/**
 * The EventStoreDB-compatible endpoint: the log over the gRPC protocol of EventStoreDB, for unmodified clients in any language.
 * One port speaks HTTP/2 without TLS (h2c, as such clients expect with `tls=false`) or with it, and HTTP/1.1 for health checks.
 * `ops/docs/eventstore-clients.md` says what is served.
 */
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { type Env, type EventLog, MillraceError, type Timer } from "@millrace/engine";
import { describeBytes } from "../event-json.ts";
import type { DescribeEvent } from "../ports.ts";
import { Access } from "./access.ts";
import { append } from "./append.ts";
import { batchAppend } from "./batch-append.ts";
import { clientStreams, isOwnStream } from "./client-streams.ts";
import { deleteStream, tombstoneStream } from "./delete.ts";
import type { EndpointContext, GrpcMethod, ProjectionLimits } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import { gossip } from "./gossip.ts";
import { Groups } from "./groups.ts";
import { GrpcCall } from "./grpc-call.ts";
import { OK, statusOf } from "./grpc-status.ts";
import { httpFace } from "./http-face.ts";
import { keepAlive } from "./keep-alive.ts";
import { LogTail } from "./log-tail.ts";
import { REFUSED, userDetails } from "./operations.ts";
import { persistentSubscriptions } from "./persistent-subscriptions.ts";
import { projectionMethods } from "./projection-methods.ts";
import { Projections } from "./projections.ts";
import { read } from "./read.ts";
import { supportedMethods } from "./server-features.ts";
import { StreamWriter } from "./stream-writer.ts";
import { ServedStreams } from "./virtual-streams.ts";

export interface EventStoreEndpointOptions {
  readonly log: EventLog;
  readonly env: Env;
  /** Version of Millrace; it becomes the `codeVersion` of events that clients append. */
  readonly version: string;
  /** Shows payloads that Millrace wrote; default as {@link describeBytes}. */
  readonly describeEvent?: DescribeEvent;
  /** When set, changes need it: as `Bearer` token, or as the password of the credentials. */
  readonly token?: string;
  /** True for streams that clients may not write to although nobody has yet; default none. */
  readonly isReserved?: (stream: string) => boolean;
  /** Largest append in bytes; default 1 MiB as EventStoreDB's, never more than the log takes. */
  readonly appendBytesMax?: number;
  /** What projections may take; every limit has its default. */
  readonly projectionLimits?: ProjectionLimits;
  /** PEM texts. Without them the port speaks HTTP/2 in clear. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Sees every error that is the server's own fault. */
  readonly report?: (thrown: unknown) => void;
}

export interface EventStoreEndpoint {
  /** Opens the port, by default of the loopback address; 0 takes any free one. Resolves with the port. */
  listen(port: number, host?: string): Promise<number>;
  /** Ends calls with UNAVAILABLE and closes the port. The log stays open. */
  close(): Promise<void>;
}

const APPEND_BYTES_MAX = 1 << 20;
/** Headers, names and numbers of an append beside what counts against its limit. */
const MESSAGE_MARGIN_BYTES = 3 << 20;
const CONNECTIONS_MAX = 1000;
const CALLS_PER_CONNECTION_MAX = 1000;
const SESSION_MEMORY_MB = 64;
const PREFACE_TIMEOUT_MS = 10_000;
/** For a whole HTTP/1.1 connection. */
const HTTP_TIMEOUT_MS = 15_000;
const PREFACE = Buffer.from("PRI * HTTP/2.0");
const CLOSE_GRACE_MS = 500;

export function eventStoreEndpoint(options: EventStoreEndpointOptions): EventStoreEndpoint {
  return new Endpoint(options);
}

class Endpoint implements EventStoreEndpoint {
  readonly #context: EndpointContext;
  readonly #groups: Groups;
  readonly #projections: Projections;
  readonly #methods: ReadonlyMap<string, GrpcMethod>;
  readonly #messageBytesMax: number;
  readonly #report: (thrown: unknown) => void;
  readonly #server: Server;
  readonly #http: HttpServer;
  readonly #calls = new Set<GrpcCall>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #sockets = new Set<Socket>();
  #isClosing = false;

  constructor(options: EventStoreEndpointOptions) {
    this.#context = contextOf(options);
    this.#groups = new Groups(this.#context);
    this.#projections = new Projections(this.#context);
    this.#methods = methodsOf(this.#groups, this.#projections);
    this.#messageBytesMax = this.#context.appendBytesMax + MESSAGE_MARGIN_BYTES;
    this.#report = options.report ?? (() => {});
    this.#http = createHttpServer(httpFace(options.version));
    this.#server = this.#serverOf(options.tls);
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  listen(port: number, host = "127.0.0.1"): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ port, host }, () => {
        this.#server.off("error", reject);
        // What cannot be read now is told to whoever asks for a projection.
        void this.#projections.open().catch(this.#report);
        // Of a TCP server that listens the address is an object.
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const status = statusOf(eventStoreError("EVENTSTORE-BUSY", "the server is closing"));
    await this.#groups.close("the server is closing");
    await this.#projections.close();
    for (const call of this.#calls) call.finish(status);
    this.#context.tail.close();
    for (const session of this.#sessions) session.close();
    const grace = this.#context.env.timers.after(CLOSE_GRACE_MS, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await closed;
    grace.cancel();
  }

  #serverOf(tls: EventStoreEndpointOptions["tls"]): Server {
    const http2 = createHttp2Server({
      settings: { maxConcurrentStreams: CALLS_PER_CONNECTION_MAX },
      maxSessionMemory: SESSION_MEMORY_MB,
    });
    this.#serve(http2);
    if (tls === undefined) return createTcpServer({ noDelay: true }, (socket) => this.#sniff(socket, http2));
    const server = createTlsServer({ ...tls, ALPNProtocols: ["h2", "http/1.1"], handshakeTimeout: PREFACE_TIMEOUT_MS });
    server.on("tlsClientError", (_failure, socket) => socket.destroy());
    return server.on("secureConnection", (socket) => {
      socket.on("error", () => socket.destroy());
      if (socket.alpnProtocol === "h2") http2.emit("connection", socket);
      else this.#answerHttp(socket);
    });
  }

  /** One port for both: HTTP/2 begins with its preface, HTTP/1.1 with anything else. */
  #sniff(socket: Socket, http2: Http2Server): void {
    const silence = this.#limit(socket, PREFACE_TIMEOUT_MS);
    socket.on("error", () => socket.destroy());
    socket.once("readable", () => {
      const first: Buffer | null = socket.read();
      if (first === null) return;
      silence.cancel();
      socket.unshift(first);
      const isHttp2 = first.subarray(0, PREFACE.length).equals(PREFACE.subarray(0, first.length));
      if (isHttp2) http2.emit("connection", socket);
      else this.#answerHttp(socket);
    });
  }

  /** One request, then the connection ends. The time-outs of an HTTP server count only connections that it has accepted itself. */
  #answerHttp(socket: Socket): void {
    this.#limit(socket, HTTP_TIMEOUT_MS);
    this.#http.emit("connection", socket);
  }

  #limit(socket: Socket, ms: number): Timer {
    const timer = this.#context.env.timers.after(ms, () => socket.destroy());
    socket.once("close", () => timer.cancel());
    return timer;
  }

  #serve(server: Http2Server): void {
    server.on("session", (session: ServerHttp2Session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
      session.on("error", () => session.destroy());
      keepAlive(session, this.#context.env);
    });
    server.on("sessionError", () => {});
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      void this.#answer(stream, headers);
    });
  }

  async #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    if (!isGrpc(headers)) {
      refuse(stream);
      return;
    }
    const call = new GrpcCall(stream, headers, this.#messageBytesMax, this.#context.env.turns);
    this.#calls.add(call);
    try {
      if (this.#isClosing) throw eventStoreError("EVENTSTORE-BUSY", "the server is closing");
      const path = headers[":path"] ?? "";
      const method = this.#methods.get(path);
      if (method === undefined)
        throw eventStoreError("EVENTSTORE-UNIMPLEMENTED", `Millrace does not serve ${path.slice(0, 200)}`);
      await method(call, this.#context);
      call.finish(OK);
    } catch (thrown) {
      if (!(thrown instanceof MillraceError) || thrown.kind === "programmer") this.#report(thrown);
      call.finish(statusOf(thrown));
    } finally {
      this.#calls.delete(call);
    }
  }
}

function contextOf(options: EventStoreEndpointOptions): EndpointContext {
  const { log, env, version, token, isReserved = () => false } = options;
  const { describeEvent = describeBytes, projectionLimits = {} } = options;
  const appendBytesMax = Math.min(options.appendBytesMax ?? APPEND_BYTES_MAX, log.appendBytesMax);
  const { states, turnstile } = clientStreams(log);
  const shared = { log, env, states, turnstile, appendBytesMax };
  return {
    log,
    env,
    version,
    describe: describeEvent,
    access: new Access(token),
    states,
    streams: new ServedStreams(log),
    writer: new StreamWriter({
      ...shared,
      isReserved: (stream) => isOwnStream(stream) || isReserved(stream),
    }),
    stateWriter: new StreamWriter({ ...shared, isReserved: () => false }),
    tail: new LogTail(log),
    appendBytesMax,
    projectionLimits,
  };
}

function methodsOf(groups: Groups, projections: Projections): ReadonlyMap<string, GrpcMethod> {
  const methods: Map<string, GrpcMethod> = new Map([
    ["/event_store.client.streams.Streams/Read", read],
    ["/event_store.client.streams.Streams/Append", append],
    ["/event_store.client.streams.Streams/BatchAppend", batchAppend],
    ["/event_store.client.streams.Streams/Delete", deleteStream],
    ["/event_store.client.streams.Streams/Tombstone", tombstoneStream],
    ...persistentSubscriptions(groups),
    ...projectionMethods(projections),
    userDetails,
    ["/event_store.client.gossip.Gossip/Read", gossip],
    [
      "/event_store.client.server_features.ServerFeatures/GetSupportedMethods",
      supportedMethods(() => [...methods.keys()]),
    ],
  ]);
  return new Map([...methods, ...REFUSED]);
}

function isGrpc(headers: IncomingHttpHeaders): boolean {
  return headers[":method"] === "POST" && headers["content-type"]?.startsWith("application/grpc") === true;
}

/** What is no gRPC is answered in plain HTTP, as the protocol asks. */
function refuse(stream: ServerHttp2Stream): void {
  stream.on("error", () => {});
  stream.respond({ ":status": 415 }, { endStream: true });
  stream.resume();
}
