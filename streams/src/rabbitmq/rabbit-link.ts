/** A connection to a RabbitMQ broker, of which the client's own recovery is off. */
import { messageOf } from "@millrace/engine";
import { type ChannelModel, connect, type Options } from "amqplib";

export interface RabbitServer extends Options.Connect {
  /** Certificates that are trusted instead of the system's, as PEM. */
  readonly ca?: string | undefined;
  /** What the broker's own tools show of the connection. */
  readonly connectionName: string;
}

/** How long the client itself waits for a connection; the layer's own time is up before. */
const CLIENT_TIMEOUT_MS = 60_000;

export class RabbitLink {
  readonly model: ChannelModel;
  /** Resolves, with the reason if there is one, when the connection has ended. */
  readonly ended: Promise<unknown>;
  #error: unknown;
  #isEnded = false;
  /** The broker has too little memory or disk, and reads nothing from who publishes. */
  #isBlocked = false;

  private constructor(model: ChannelModel) {
    this.model = model;
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

  static async open({ ca, connectionName, ...server }: RabbitServer): Promise<RabbitLink> {
    const socket = {
      noDelay: true,
      timeout: CLIENT_TIMEOUT_MS,
      clientProperties: { connection_name: connectionName },
      ...(ca === undefined ? {} : { ca: [ca] }),
    };
    try {
      return new RabbitLink(await connect(server, socket));
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

  async end(): Promise<void> {
    if (!this.#isEnded) await this.model.close();
  }
}

/** The last step of the handshake is to enter a virtual host; of a refusal the client tells only the frames' names. */
const isVhostRefused = (error: unknown): boolean => /ConnectionOpenOk; got <ConnectionClose/.test(messageOf(error));

function vhostRefused(vhost: string | undefined, cause: unknown): Error {
  const name = decodeURIComponent(vhost ?? "");
  return new Error(`there is no virtual host \`${name}\`, or this user may not enter it`, { cause });
}
