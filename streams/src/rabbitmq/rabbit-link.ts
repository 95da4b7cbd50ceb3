/** A connection to a RabbitMQ broker, of which the client's own recovery is off. */
import { type Env, messageOf } from "@millrace/engine";
import { type ChannelModel, connect, type Options } from "amqplib";

export interface RabbitServer extends Options.Connect {
  /** Certificates that are trusted instead of the system's, as PEM. */
  readonly ca?: string | undefined;
  /** What the broker's own tools show of the connection. */
  readonly connectionName: string;
}

/** How long the client itself waits for a connection; the layer's own time is up before. */
const CLIENT_TIMEOUT_MS = 60_000;

/** A link that is cut would never answer the farewell. */
const CLOSE_MS = 1000;

export class RabbitLink {
  readonly model: ChannelModel;
  /** Resolves, with the reason if there is one, when the connection has ended. */
  readonly ended: Promise<unknown>;
  readonly #env: Env;
  #error: unknown;
  #isEnded = false;
  /** The broker has too little memory or disk, and reads nothing from who publishes. */
  #isBlocked = false;

  private constructor(model: ChannelModel, env: Env) {
    this.model = model;
    this.#env = env;
    model.on("error", (error) => {
      this.#error = error;
    });
    this.ended = new Promise((resolve) =>
      model.once("close", (error) => {
        this.#isEnded = true;
        resolve(this.#error ?? error);
      }),
    );
    model.on("blocked", () => {
      this.#isBlocked = true;
    });
    model.on("unblocked", () => {
      this.#isBlocked = false;
    });
  }

  static async open({ ca, connectionName, ...server }: RabbitServer, env: Env): Promise<RabbitLink> {
    const socket = {
      noDelay: true,
      timeout: CLIENT_TIMEOUT_MS,
      clientProperties: { connection_name: connectionName },
      ...(ca === undefined ? {} : { ca: [ca] }),
    };
    try {
      return new RabbitLink(await connect(server, socket), env);
    } catch (error) {
      throw isVhostRefused(error) ? vhostRefused(server.vhost, error) : error;
    }
  }

  /**
   * Resolves when the broker answers. The protocol has no question without a meaning: a channel is opened and closed. A broker that blocks
   * who publishes does not answer that, and is alive; whether it still is, heartbeats tell.
   */
  async ping(): Promise<void> {
    if (this.#isBlocked) return;
    const channel = await this.model.createChannel();
    channel.on("error", () => undefined);
    await channel.close();
  }

  /** Takes leave of the broker; when that is not answered soon, without it. */
  async end(): Promise<void> {
    if (this.#isEnded) return;
    const insist = this.#env.timers.after(CLOSE_MS, () => socketOf(this.model).destroy(new Error("it did not answer")));
    // The client forgets who waits for an answer when the link ends without one.
    this.model.close().catch(() => undefined);
    await this.ended;
    insist.cancel();
  }
}

interface Wire {
  destroy(error: Error): void;
}

/** Known to the client's code, not to its types. */
const socketOf = (model: ChannelModel): Wire => (model.connection as unknown as { readonly stream: Wire }).stream;

/** The last step of the handshake is to enter a virtual host; of a refusal the client tells only the frames' names. */
const isVhostRefused = (error: unknown): boolean => /ConnectionOpenOk; got <ConnectionClose/.test(messageOf(error));

function vhostRefused(vhost: string | undefined, cause: unknown): Error {
  const name = decodeURIComponent(vhost ?? "");
  return new Error(`there is no virtual host \`${name}\`, or this user may not enter it`, { cause });
}
