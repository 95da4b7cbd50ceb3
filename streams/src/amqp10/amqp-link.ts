/** A connection to a broker over AMQP 1.0, of which the client's own reconnecting is off. */
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Session } from "rhea";
import { hostAndPort, type Tls } from "../resilience/endpoint.ts";

export interface AmqpServer {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Which of its virtual hosts a broker is asked for. Absent: the name of the machine. */
  readonly hostname?: string | undefined;
  /** Names this end: what a topic keeps for somebody belongs to a name, which one connection at a time has. Absent: one of its own. */
  readonly container?: string | undefined;
  /** How many messages may be on their way in. */
  readonly incomingMax: number;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
}

/**
 * The broker shows that it is alive after half of it, also where it does not read because it is short of memory. Twice as long without a
 * sign ends the connection in the client, too; the layer above is quicker.
 */
const IDLE_MS = 4000;
/** The client keeps what is on its way in a ring, also what is settled while an older message is not. */
const RING_FACTOR = 2;
const RING_MIN = 2048;

export class AmqpLink {
  readonly connection: Connection;
  /** Resolves, with the reason if there is one, when the connection has ended. */
  readonly ended: Promise<unknown>;
  isOpen = false;
  #reason: unknown;
  #pongs: (() => void)[] = [];

  private constructor(options: ConnectionOptions) {
    const own = rhea.create_container();
    const failed = (reason: unknown): void => {
      this.#reason ??= reason;
    };
    own.on("error", failed);
    own.on("protocol_error", failed);
    own.on("connection_error", ({ error, connection }: EventContext) => failed(error ?? connection.error));
    this.connection = own.connect(options);
    this.ended = new Promise((resolve) => {
      const end = (reason?: unknown): void => {
        this.isOpen = false;
        if (reason !== undefined) failed(reason);
        resolve(this.#reason === undefined ? undefined : described(this.#reason));
      };
      own.on("disconnected", ({ error }: EventContext) => end(error));
      own.on("connection_close", () => end());
      // The links of a session that the broker ended are gone with it.
      own.on("session_error", ({ session }: EventContext) => {
        failed(session?.error);
        void this.end();
      });
    });
  }

  static async open(
    endpoint: string,
    { user, password, hostname, container, incomingMax, tls }: AmqpServer,
    signal: AbortSignal,
  ): Promise<AmqpLink> {
    const { host, port } = hostAndPort(endpoint);
    const options = {
      host,
      port,
      sasl_mechanisms: mechanisms(user, password),
      ...(hostname === undefined ? {} : { hostname }),
      ...(container === undefined ? {} : { container_id: container }),
      reconnect: false,
      tcp_no_delay: true,
      idle_time_out: IDLE_MS,
      session_buffer_size: { incoming: Math.max(RING_MIN, RING_FACTOR * incomingMax), outgoing: RING_MIN },
      ...(tls === undefined
        ? {}
        : { transport: "tls", servername: host, ...(tls.ca === undefined ? {} : { ca: tls.ca }) }),
    };
    // The client's type wants to know at compile time whether the connection is encrypted.
    const link = new AmqpLink(options as ConnectionOptions);
    const closed = link.ended.then((reason) => {
      throw reason ?? new Error("the broker closed the connection");
    });
    closed.catch(() => undefined);
    signal.addEventListener("abort", () => void link.end(), { once: true });
    const opened = new Promise<void>((resolve) => link.connection.once("connection_open", () => resolve()));
    await Promise.race([opened, closed]);
    link.isOpen = true;
    link.#listenForLife();
    return link;
  }

  /** Resolves when the broker shows that it is alive. The protocol has no question without a meaning: a session is begun and ended. */
  async ping(): Promise<void> {
    const alive = new Promise<void>((resolve) => this.#pongs.push(resolve));
    const session: Session = this.connection.create_session();
    session.once("session_open", () => session.close());
    session.begin();
    await alive;
  }

  /** Without a word of parting: the broker hands out again what is not settled, and keeps what is kept for somebody. */
  async end(): Promise<void> {
    this.isOpen = false;
    // By its error the client learns that the connection is gone, and stops its timers.
    socketOf(this.connection)?.destroy(new Error("the connection was given up"));
  }

  #listenForLife(): void {
    socketOf(this.connection)?.on("data", () => {
      for (const pong of this.#pongs.splice(0)) pong();
    });
  }
}

/** Who names no user is let in as nobody, or not at all; brokers want to hear that, too. */
function mechanisms(user: string | undefined, password = ""): unknown {
  const chosen = rhea.sasl.client_mechanisms();
  if (user === undefined) chosen.enable_anonymous("anonymous");
  else chosen.enable_plain(user, password);
  return chosen;
}

interface Wire {
  on(event: "data", listener: () => void): unknown;
  destroy(error: Error): void;
}

/** Known to the client's code, not to its types. */
const socketOf = (connection: Connection): Wire | undefined => (connection as { readonly socket?: Wire }).socket;

/** What the broker said instead of doing what it was told. */
export class AmqpRefusal extends Error {
  /** The protocol's name for the reason, such as `amqp:not-found`. */
  readonly condition: string;

  constructor(condition: string, message: string) {
    super(message);
    this.condition = condition;
  }
}

/** Refusals have a condition, and mostly a text. */
export function described(reason: unknown): Error {
  const { condition, description, message } = (reason ?? {}) as Partial<Record<string, unknown>>;
  if (typeof condition !== "string") return reason instanceof Error ? reason : new Error(String(message ?? reason));
  const text = description ?? message;
  return new AmqpRefusal(condition, typeof text === "string" && text !== "" ? `${condition}: ${text}` : condition);
}
