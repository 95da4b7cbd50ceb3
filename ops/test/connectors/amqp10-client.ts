/** A test's own end of a broker that speaks AMQP 1.0: it connects again as often as needed, and does again what failed. */
import rhea, {
  type Connection,
  type ConnectionOptions,
  type Delivery,
  type EventContext,
  type Message,
  type Receiver,
  type Sender,
} from "rhea";
import { vi } from "vitest";

/** Only what hangs takes so long. */
const PATIENCE = { timeout: 120_000, interval: 50 };
const MARK = "mark of a drain";

export interface Drained {
  /** The message's own id. */
  readonly id: string;
  readonly data: string;
  readonly bytes: Buffer;
  readonly properties: Readonly<Record<string, unknown>>;
  /** The content type. */
  readonly type: string | undefined;
}

export interface Sent {
  readonly body: unknown;
  readonly id?: string;
  readonly properties?: Readonly<Record<string, string>>;
  /** The content type. */
  readonly type?: string;
}

interface Line {
  readonly connection: Connection;
  /** Rejects when nothing more will come over it. */
  readonly ended: Promise<never>;
}

export class Amqp10Client {
  readonly #options: ConnectionOptions;
  #line: Line | undefined;
  #marks = 0;

  constructor(port: number, login: { readonly username?: string; readonly password?: string } = {}) {
    this.#options = { host: "127.0.0.1", port, reconnect: false, username: "anonymous", ...login };
  }

  /** Sends durable messages. What was not accepted is sent again, so the queue may have it twice. */
  async publish(node: string, messages: readonly Sent[]): Promise<void> {
    const left = new Set(messages);
    await this.#until(async ({ connection }) => {
      const sender = connection.open_sender({ target: { address: node } });
      const outcomes = outcomesOf(sender);
      try {
        await opened(sender, "sender");
        await Promise.all(
          [...left].map(async (message) => {
            await accepted(sender, outcomes, message);
            left.delete(message);
          }),
        );
      } finally {
        sender.close();
      }
    });
  }

  /**
   * Takes all there is into `into`. What was taken and not accepted in time comes again. The connection ends with it: RabbitMQ sends more than
   * it was given credit for, and hands that out again when the connection has ended, not when the link has.
   */
  async drain(node: string, into: Drained[] = []): Promise<Drained[]> {
    await this.#until(async (line) => {
      const mark = `${MARK} ${++this.#marks}`;
      const receiver = line.connection.open_receiver({ source: { address: node }, credit_window: 100 });
      try {
        const isMarked = new Promise<void>((resolve) => {
          receiver.on("message", ({ message }: EventContext) => {
            const data = textOf(message);
            if (data === mark) resolve();
            else if (message !== undefined && !data.startsWith(MARK)) into.push(drained(message, data));
          });
        });
        await opened(receiver, "receiver");
        const sender = line.connection.open_sender({ target: { address: node } });
        await opened(sender, "sender");
        await accepted(sender, outcomesOf(sender), { body: mark });
        sender.close();
        await isMarked;
      } finally {
        receiver.close();
      }
    });
    await this.close();
    return into;
  }

  async close(): Promise<void> {
    const line = this.#line;
    this.#line = undefined;
    line?.connection.close();
  }

  #until<T>(work: (line: Line) => Promise<T>): Promise<T> {
    return vi.waitFor(async () => {
      try {
        this.#line ??= lineTo(this.#options);
        return await Promise.race([work(this.#line), this.#line.ended]);
      } catch (error) {
        await this.close();
        throw error;
      }
    }, PATIENCE);
  }
}

function lineTo(options: ConnectionOptions): Line {
  const container = rhea.create_container();
  const ended = new Promise<never>((_, reject) => {
    const end = (context: EventContext): void => reject(context.error ?? new Error("the connection ended"));
    container.on("disconnected", end);
    container.on("connection_error", end);
    container.on("session_error", ({ session }: EventContext) => reject(session?.error));
    container.on("error", reject);
  });
  ended.catch(() => undefined);
  return { connection: container.connect(options), ended };
}

function opened(link: Sender | Receiver, kind: "sender" | "receiver"): Promise<void> {
  return new Promise((resolve, reject) => {
    link.once(`${kind}_open`, () => resolve());
    link.on(`${kind}_error`, () => reject(link.error));
    link.on(`${kind}_close`, () => reject(new Error("the link was closed")));
  });
}

/** What becomes of deliveries, each told to who waits for it. */
function outcomesOf(sender: Sender): Map<Delivery, (outcome: string) => void> {
  const waiting = new Map<Delivery, (outcome: string) => void>();
  for (const outcome of ["accepted", "rejected", "released"])
    sender.on(outcome, ({ delivery }: EventContext) => delivery !== undefined && waiting.get(delivery)?.(outcome));
  return waiting;
}

function accepted(
  sender: Sender,
  outcomes: Map<Delivery, (outcome: string) => void>,
  { body, id, properties, type }: Sent,
): Promise<void> {
  const message = {
    body,
    durable: true,
    ...(id === undefined ? {} : { message_id: id }),
    ...(type === undefined ? {} : { content_type: type }),
    ...(properties === undefined ? {} : { application_properties: properties }),
  } as unknown as Message;
  return new Promise((resolve, reject) => {
    outcomes.set(sender.send(message), (outcome) => {
      if (outcome === "accepted") resolve();
      else reject(new Error(`the broker ${outcome} a message`));
    });
  });
}

const textOf = (message: Message | undefined): string => bytesOf(message).toString();

/** Bodies come as texts or as bytes, as the sender and the broker would have it. */
function bytesOf(message: Message | undefined): Buffer {
  const body: unknown = message?.body;
  if (typeof body === "string") return Buffer.from(body);
  const { content } = (body ?? {}) as { readonly content?: unknown };
  return Buffer.isBuffer(content) ? content : Buffer.alloc(0);
}

function drained(message: Message, data: string): Drained {
  const { message_id: id, application_properties: properties, content_type: type } = message;
  return {
    id: String(id ?? ""),
    data,
    bytes: bytesOf(message),
    properties: (properties ?? {}) as Record<string, unknown>,
    type,
  };
}

/** Where bodies of bytes are sent and come out; `seen`: what has come out, as often as it came. */
export interface BytesEnds {
  readonly seen: readonly Drained[];
  send(bodies: readonly Buffer[]): Promise<void>;
  /** All so far, each once: what was taken and not accepted in time came again, with its id. */
  received(): Promise<readonly Buffer[]>;
}

export function bytesEnds(
  client: Amqp10Client,
  from: string,
  to: string,
  idOf: (message: Drained) => unknown = ({ id }) => id,
): BytesEnds {
  const seen: Drained[] = [];
  return {
    seen,
    send: (bodies) =>
      client.publish(
        from,
        bodies.map((body) => ({ body: rhea.message.data_section(body) })),
      ),
    async received() {
      await client.drain(to, seen);
      return [...new Map(seen.map((message) => [idOf(message), message.bytes])).values()];
    },
  };
}
