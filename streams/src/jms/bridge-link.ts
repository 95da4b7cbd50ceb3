/**
 * A connection to a broker that a program in Java holds, in a process of its own, with the client that the broker's vendor gives. The
 * process ends with its connection, and the connection with the process.
 */
import {
  type Env,
  type JmsDefinition,
  MillraceError,
  messageOf,
  type WorkerCommand,
  type WorkerEnd,
  type WorkerLauncher,
  type WorkerProcess,
} from "@millrace/engine";
import { hidden } from "../resilience/hidden.ts";
import { type BridgeFrame, encodeFrame, FrameReader, type HostFrame, type IncomingFrame } from "./bridge-frame.ts";
import { jmsError } from "./errors.ts";

/** How the bridge is run. */
export interface BridgeProgram {
  readonly command: WorkerCommand;
  readonly launcher: WorkerLauncher;
}

/** How the vendor's client makes a connection to one endpoint: as in a graph, paths made absolute, the endpoint and secrets put in. */
export type JmsClient = Pick<
  JmsDefinition,
  "factory" | "set" | "lookup" | "jndi" | "jndiFile" | "system" | "acknowledge"
>;

export interface BridgeLogin {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Who the subscriptions of topics belong to. One connection at a time has it. */
  readonly clientId?: string | undefined;
}

export interface BridgeOptions {
  readonly program: BridgeProgram;
  readonly client: JmsClient;
  /** Texts that must never be shown: what a client says of a failure may hold its settings. */
  readonly secrets?: readonly string[] | undefined;
  readonly env: Env;
}

/** What is asked for, by the name that a failure has; each has one answer, and one is asked at a time. */
const ANSWERS: Readonly<Record<string, string>> = {
  hello: "hello",
  opened: "open",
  listening: "listen",
  ready: "sender",
  sent: "send",
  pong: "probe",
};
/** A client that cannot reach its broker any more may take for ever to take leave of it. */
const CLOSE_MS = 2000;
const LAST_WORDS_CHARS = 300;
const OUT_OF_MEMORY = /java\.lang\.OutOfMemoryError/;

/** Trying again does not cure it. */
export const isFinal = (error: unknown): boolean => error instanceof MillraceError && error.kind === "terminal";

/** For where of an error only the words are kept. */
export const withCode = (error: unknown): unknown =>
  error instanceof MillraceError ? new Error(`${error.message} (${error.code})`, { cause: error }) : error;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class BridgeLink {
  /** Resolves, with the reason if there is one, when the connection has ended. */
  readonly ended: Promise<unknown>;
  readonly #env: Env;
  readonly #hide: (text: string) => string;
  readonly #reader = new FrameReader();
  readonly #waiting = new Map<string, Waiting>();
  #process: WorkerProcess | undefined;
  #receive: (message: IncomingFrame) => void = () => undefined;
  #settled: number[] = [];
  #reason: unknown;
  #hasSpoken = false;
  /** It was told to end, or killed by us. */
  #isUnwanted = false;
  #isEnded = false;
  #resolveEnded: (reason: unknown) => void = () => undefined;

  private constructor(env: Env, secrets: readonly string[]) {
    this.#env = env;
    this.#hide = (text) => hidden(text, secrets);
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** Makes the factory and no connection. @throws JMS-CLASS, JMS-FACTORY, JMS-BRIDGE */
  static async check(options: BridgeOptions, signal: AbortSignal): Promise<void> {
    const link = await BridgeLink.launched(options, signal);
    try {
      await link.#ask({ ...openFrame(options.client), dry: true });
    } finally {
      await link.end();
    }
  }

  /** A process without a connection. @throws JMS-BRIDGE */
  static async launched(
    { program, env, secrets = [] }: Omit<BridgeOptions, "client">,
    signal: AbortSignal,
  ): Promise<BridgeLink> {
    const link = new BridgeLink(env, secrets);
    const hello = link.#answered("hello");
    try {
      link.#process = await program.launcher.launch(program.command, {
        data: (bytes) => link.#hear(bytes),
        ended: (end) => link.#end(end),
      });
    } catch (cause) {
      hello.catch(() => undefined);
      throw jmsError("JMS-BRIDGE", `\`${program.command.command}\` cannot be started: ${messageOf(cause)}`, { cause });
    }
    await link.#unlessAborted(signal, hello);
    return link;
  }

  get hasEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Connects to the broker. After an Error the process can be asked again, if it has not ended.
   *
   * @throws JMS-CLASS, JMS-FACTORY, JMS-AUTH, JMS-CLIENT-ID, JMS-BRIDGE, Error the broker is not there
   */
  async open(client: JmsClient, login: BridgeLogin, signal: AbortSignal): Promise<void> {
    await this.#unlessAborted(signal, this.#ask({ ...openFrame(client), ...login }));
  }

  async #unlessAborted(signal: AbortSignal, answered: Promise<void>): Promise<void> {
    const kill = (): void => {
      this.#isUnwanted = true;
      this.#process?.signal("SIGKILL");
    };
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    try {
      await answered;
    } finally {
      signal.removeEventListener("abort", kill);
    }
  }

  /** Hands over messages, none of which counts as taken before it is settled. @throws JMS-DESTINATION, JMS-AUTH, JMS-SELECTOR */
  async listen(
    listen: Omit<Extract<HostFrame, { is: "listen" }>, "is">,
    receive: (m: IncomingFrame) => void,
  ): Promise<void> {
    this.#receive = receive;
    await this.#ask({ is: "listen", ...listen });
  }

  /** Of no use once the connection has ended: the message comes again then. */
  settle(n: number): void {
    if (this.#settled.push(n) > 1) return;
    // What is settled together is said together.
    queueMicrotask(() => {
      this.#say({ is: "settle", ns: this.#settled });
      this.#settled = [];
    });
  }

  /** @throws JMS-DESTINATION, JMS-AUTH */
  async sender(sender: Omit<Extract<HostFrame, { is: "sender" }>, "is">): Promise<void> {
    await this.#ask({ is: "sender", ...sender });
  }

  /** Resolves when the broker has all of them; otherwise it has none. @throws JMS-ROW, JMS-TOO-LARGE, JMS-AUTH */
  async send(messages: Extract<HostFrame, { is: "send" }>["messages"]): Promise<void> {
    await this.#ask({ is: "send", messages });
  }

  async ping(): Promise<void> {
    await this.#ask({ is: "probe" });
  }

  async end(): Promise<void> {
    if (this.#isEnded) return;
    this.#isUnwanted = true;
    await Promise.resolve();
    this.#say({ is: "close" });
    const insist = this.#env.timers.after(CLOSE_MS, () => this.#process?.signal("SIGKILL"));
    await this.ended;
    insist.cancel();
  }

  async #ask(frame: HostFrame): Promise<void> {
    const answered = this.#answered(frame.is);
    if (this.#isEnded) this.#answer(frame.is, this.#endReason());
    else this.#say(frame);
    await answered;
  }

  #answered(to: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(to, { resolve, reject });
    });
  }

  #say(frame: HostFrame): void {
    if (!this.#isEnded) this.#process?.send(encodeFrame(frame));
  }

  #hear(bytes: Uint8Array): void {
    this.#hasSpoken = true;
    for (const frame of this.#reader.read(bytes)) this.#heard(frame);
  }

  #heard(frame: BridgeFrame): void {
    switch (frame.is) {
      case "message":
        this.#receive(frame);
        break;
      case "failed":
        this.#answer(frame.of, this.#failure(frame));
        break;
      case "ended":
        this.#reason ??= this.#failure(frame);
        void this.end();
        break;
      default:
        this.#answer(ANSWERS[frame.is] ?? "");
    }
  }

  #answer(to: string, error?: Error): void {
    const waiting = this.#waiting.get(to);
    this.#waiting.delete(to);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(error);
  }

  #end({ code, signal }: WorkerEnd): void {
    const tail = this.#process?.output.tail.trim() ?? "";
    if (code !== 0 || !this.#isUnwanted)
      this.#reason ??= jmsError("JMS-BRIDGE", this.#hide(lastWords(code, signal, tail, this.#hasSpoken)));
    this.#isEnded = true;
    for (const to of [...this.#waiting.keys()]) this.#answer(to, this.#endReason());
    this.#resolveEnded(this.#reason);
  }

  #failure({ code, message }: Pick<Extract<BridgeFrame, { is: "failed" }>, "code" | "message">): Error {
    const known = Object.keys(jmsError.catalogue).find((one): one is keyof typeof jmsError.catalogue => one === code);
    const words = this.#hide(message);
    return known === undefined ? new Error(words) : jmsError(known, words);
  }

  #endReason(): Error {
    return this.#reason instanceof Error ? this.#reason : new Error("the connection has ended");
  }
}

function openFrame({ set = {}, jndi = {}, system = {}, ...client }: JmsClient): Extract<HostFrame, { is: "open" }> {
  return { is: "open", ...client, set, jndi, system, dry: false };
}

/** What a client writes may hold anything; what the JVM writes when it cannot start, or has no memory left, is told. */
function lastWords(code: number | null, signal: string | null, tail: string, hasSpoken: boolean): string {
  const how = signal === null ? `with code ${code}` : `by ${signal}`;
  const words = OUT_OF_MEMORY.test(tail) ? "its memory ran out" : hasSpoken ? "" : tail.slice(-LAST_WORDS_CHARS);
  return `the process of the JMS client ended ${how}${words === "" ? "" : `: ${words}`}`;
}
