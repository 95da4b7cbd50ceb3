/**
 * A connection to an MQTT broker of which nothing is acknowledged by itself. The client library acknowledges a message when it has been
 * handed over, one at a time; here it is acknowledged when whoever took it says so, many at a time.
 */
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";

/** A message that came, as far as it matters here. */
export interface MqttMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** It may have been sent before. */
  readonly dup: boolean;
  /** Of the session; the broker gives it to another message once this one is acknowledged. Absent for quality of service 0. */
  readonly messageId?: number;
  readonly properties?: MqttProperties;
}

/** What the sender says beside the message. A name that is said several times has all its values. */
export interface MqttProperties {
  readonly contentType?: string;
  readonly userProperties?: Readonly<Record<string, string | readonly string[]>>;
}

export interface MqttReceiver {
  received(message: MqttMessage): void;
  /** The broker will not send the message of this number, of quality of service 2, again. */
  released(messageId: number): void;
}

interface WirePacket {
  readonly cmd: string;
  readonly messageId?: number;
}

type Send = (packet: WirePacket, done?: (error?: Error) => void, ...rest: readonly unknown[]) => void;

const ALL_AT_ONCE = 65_535;

export class MqttLink {
  readonly client: MqttClient;
  /** Resolves, with the reason if there is one, when the connection has ended. */
  readonly ended: Promise<unknown>;
  /** The broker knew the session. */
  hasSession = false;
  /** How many messages may be sent before one of them is acknowledged. */
  sendMax = ALL_AT_ONCE;
  readonly #send: Send;
  /** What came before anybody listened. */
  readonly #early: ((receiver: MqttReceiver) => void)[] = [];
  #receiver: MqttReceiver | undefined;
  #error: unknown;
  #pongs: (() => void)[] = [];

  private constructor(options: IClientOptions) {
    this.client = mqtt.connect(options);
    this.ended = new Promise((resolve) => this.client.once("close", () => resolve(this.#error)));
    this.client.on("error", (error) => {
      this.#error = error;
    });
    this.client.on("packetreceive", (packet) => this.#arrived(packet));
    this.#send = this.#withholdAcknowledgements();
  }

  static async open(options: IClientOptions, signal: AbortSignal): Promise<MqttLink> {
    const link = new MqttLink(options);
    const closed = link.ended.then((error) => {
      throw error ?? new Error("the broker closed the connection");
    });
    const connected = new Promise<void>((resolve) => {
      link.client.once("connect", ({ sessionPresent, properties }) => {
        link.#takeWhatIsSent();
        link.hasSession = sessionPresent;
        link.sendMax = properties?.receiveMaximum ?? ALL_AT_ONCE;
        resolve();
      });
    });
    signal.addEventListener("abort", () => void link.end(), { once: true });
    await Promise.race([connected, closed]);
    closed.catch(() => undefined);
    return link;
  }

  /** From now on, and what came before. */
  listen(receiver: MqttReceiver): void {
    this.#receiver = receiver;
    for (const tell of this.#early.splice(0)) tell(receiver);
  }

  /** Tells the broker that a message needs to be sent no more. False: the connection has ended, the message comes again. */
  acknowledge(messageId: number, qos: 1 | 2): boolean {
    if (!this.client.connected) return false;
    this.#send({ cmd: qos === 1 ? "puback" : "pubrec", messageId });
    return true;
  }

  /** Resolves when the broker answers. */
  async ping(): Promise<void> {
    const answered = new Promise<void>((resolve) => this.#pongs.push(resolve));
    this.client.sendPing();
    await answered;
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }

  #arrived(packet: WirePacket): void {
    if (packet.cmd === "publish") {
      const { topic, payload, qos, retain, dup, messageId, properties } = packet as unknown as MqttMessage;
      const said = properties === undefined ? {} : { properties };
      const message = { topic, payload, qos, retain, dup, ...(messageId === undefined ? {} : { messageId }), ...said };
      this.#tell((receiver) => receiver.received(message));
    } else if (packet.cmd === "pubrel") {
      this.#tell((receiver) => receiver.released(packet.messageId ?? 0));
    } else if (packet.cmd === "pingresp") {
      for (const pong of this.#pongs.splice(0)) pong();
    }
  }

  #tell(tell: (receiver: MqttReceiver) => void): void {
    if (this.#receiver === undefined) this.#early.push(tell);
    else tell(this.#receiver);
  }

  /**
   * The client breaks a connection over which it gets more messages of quality 2 than it asked for. A broker that counts wrongly, as
   * mosquitto 2.0.11 does once some are acknowledged, would send the same again over the next one, for ever. It is told the number
   * when the connection is made; what comes beyond it is taken, and bounded by the broker's own queue.
   */
  #takeWhatIsSent(): void {
    // Private to the client in its types only.
    (this.client as unknown as { _receiveMaximum: number })._receiveMaximum = ALL_AT_ONCE;
  }

  /**
   * The client's way out, behind a gate that lets no acknowledgement of a message pass. The client has no option for that: its hooks
   * hold up everything that comes behind the message, the answers to pings too. That the gate holds is what the tests with a
   * real broker count, so a version of the client that sends in another way does not pass them.
   */
  #withholdAcknowledgements(): Send {
    // Private to the client in its types only.
    const client = this.client as unknown as { _sendPacket: Send };
    const send = client._sendPacket.bind(this.client) as Send;
    client._sendPacket = (packet, done, ...rest) => {
      if (packet.cmd === "puback" || packet.cmd === "pubrec") done?.();
      else send(packet, done, ...rest);
    };
    return send;
  }
}
