/**
 * A connection to one endpoint of a gRPC service. The library would make it again and again by itself; here it is over once it is not
 * ready any more, and the resilience layer makes another one.
 */
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  connectivityState,
  credentials,
  type Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { type Env, messageOf } from "@millrace/engine";

export interface GrpcTls {
  /** Certificates that are trusted instead of the system's, as PEM. */
  readonly ca?: string | undefined;
  /** The client's own certificate, and its key, as PEM. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Name that the service's certificate must have, if not the host's. */
  readonly server?: string | undefined;
}

export interface GrpcChannelOptions {
  /** Absent: the connection is not encrypted. */
  readonly tls?: GrpcTls | undefined;
  /** How often the other end is asked whether it is there while nothing comes, in ms. Default 5 min. */
  readonly keepaliveMs?: number;
  /** Most bytes of a message that comes. Default 16 MiB. */
  readonly bytesMax?: number;
}

interface CallOptions {
  readonly deadlineMs?: number;
  /** Beside what every call has. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Servers refuse more than that unless they are told otherwise. */
const KEEPALIVE_MS = 300_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;
const BYTES_MAX = 16 * 1024 * 1024;
/** Never answered by anybody: it is asked of a channel that cannot connect, which then says why. */
const NO_METHOD = "/millrace/reason";
const NOT_SENT = "No connection established";

export const asTheyAre = (bytes: Buffer): Buffer => bytes;

export class GrpcLink {
  /** Resolves, with the reason if there is one, when the connection has ended. */
  readonly ended: Promise<unknown>;
  readonly #client: Client;
  readonly #metadata: Metadata;
  readonly #env: Env;
  readonly #ending = new AbortController();
  #end: (reason: unknown) => void = () => undefined;

  private constructor(client: Client, metadata: Metadata, env: Env) {
    this.#client = client;
    this.#metadata = metadata;
    this.#env = env;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** @param metadata of every call */
  static async open(
    endpoint: string,
    options: GrpcChannelOptions,
    metadata: Metadata,
    env: Env,
    signal: AbortSignal,
  ): Promise<GrpcLink> {
    const client = new Client(endpoint, credentialsOf(options.tls), channelOptions(options));
    const link = new GrpcLink(client, metadata, env);
    const stop = (): void => link.end(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    try {
      await link.#ready();
      signal.throwIfAborted();
      link.#watch();
      return link;
    } catch (error) {
      link.end(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Aborts when the connection has ended. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** @throws the library's error, which has the status */
  unary(path: string, request: Buffer, options: CallOptions): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        asTheyAre,
        asTheyAre,
        request,
        this.#metadataOf(options),
        this.#deadline(options),
        (error: ServiceError | null, answer?: Buffer) => {
          this.signal.removeEventListener("abort", cancel);
          if (error === null && answer !== undefined) resolve(answer);
          else reject(error);
        },
      );
      const cancel = (): void => call.cancel();
      this.#cancelled(cancel);
    });
  }

  answers(path: string, request: Buffer): ClientReadableStream<Buffer> {
    const call = this.#client.makeServerStreamRequest(path, asTheyAre, asTheyAre, request, this.#metadataOf({}));
    this.#whileItRuns(call);
    return call;
  }

  /** `answered` is called once. */
  requests(
    path: string,
    options: CallOptions,
    answered: (error: ServiceError | null) => void,
  ): ClientWritableStream<Buffer> {
    const call = this.#client.makeClientStreamRequest<Buffer, Buffer>(
      path,
      asTheyAre,
      asTheyAre,
      this.#metadataOf(options),
      this.#deadline(options),
      (error: ServiceError | null) => answered(error),
    );
    this.#whileItRuns(call);
    return call;
  }

  both(path: string): ClientDuplexStream<Buffer, Buffer> {
    const call = this.#client.makeBidiStreamRequest(path, asTheyAre, asTheyAre, this.#metadataOf({}));
    this.#whileItRuns(call);
    return call;
  }

  end(reason: unknown): void {
    this.#end(reason);
    if (this.signal.aborted) return;
    this.#ending.abort();
    this.#client.close();
  }

  #metadataOf({ metadata = {} }: CallOptions): Metadata {
    const all = this.#metadata.clone();
    for (const [key, value] of Object.entries(metadata)) all.set(key, value);
    return all;
  }

  #deadline({ deadlineMs }: CallOptions): { readonly deadline?: number } {
    return deadlineMs === undefined ? {} : { deadline: this.#env.clock.now() + deadlineMs };
  }

  /** Calls that are under way go on when a channel is closed. */
  #whileItRuns(call: { cancel(): void; once(event: "status", listener: () => void): unknown }): void {
    const cancel = (): void => call.cancel();
    this.#cancelled(cancel);
    call.once("status", () => this.signal.removeEventListener("abort", cancel));
  }

  #cancelled(cancel: () => void): void {
    if (this.signal.aborted) cancel();
    else this.signal.addEventListener("abort", cancel, { once: true });
  }

  async #ready(): Promise<void> {
    const channel = this.#client.getChannel();
    for (let state = channel.getConnectivityState(true); ; state = channel.getConnectivityState(true)) {
      if (state === connectivityState.READY) return;
      if (state === connectivityState.SHUTDOWN) throw new Error("the connection was closed");
      if (state === connectivityState.TRANSIENT_FAILURE) throw await this.#reason();
      await new Promise<void>((changed) =>
        channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => changed()),
      );
    }
  }

  /** Why the channel cannot connect, of which only a call is told. */
  async #reason(): Promise<Error> {
    try {
      await this.unary(NO_METHOD, Buffer.alloc(0), {});
    } catch (error) {
      const { details = messageOf(error) } = error as Partial<ServiceError>;
      return new Error(details.replace(`${NOT_SENT}. Last error: `, "").replace(/\.? Resolution note: *$/, ""));
    }
    return new Error("it cannot be connected");
  }

  #watch(): void {
    const channel = this.#client.getChannel();
    const over = (): void => this.end(new Error("the connection was closed by the other end, or did not answer"));
    if (channel.getConnectivityState(false) !== connectivityState.READY) over();
    else channel.watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, over);
  }
}

function credentialsOf(tls: GrpcTls | undefined): ReturnType<typeof credentials.createInsecure> {
  if (tls === undefined) return credentials.createInsecure();
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  return credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
}

function channelOptions({
  tls,
  keepaliveMs = KEEPALIVE_MS,
  bytesMax = BYTES_MAX,
}: GrpcChannelOptions): ConstructorParameters<typeof Client>[2] {
  return {
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": Math.min(keepaliveMs, KEEPALIVE_TIMEOUT_MS),
    "grpc.max_receive_message_length": bytesMax,
    "grpc.max_send_message_length": -1,
    // Who is connected, to what and when is this side's matter.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": 0,
    // By itself the library ends a connection without calls after half an hour: the longest that a timer can wait.
    "grpc.client_idle_timeout_ms": 2 ** 31 - 1,
    "grpc.service_config_disable_resolution": 1,
    ...(tls?.server === undefined
      ? {}
      : { "grpc.ssl_target_name_override": tls.server, "grpc.default_authority": tls.server }),
  };
}
