/** A wire between a client and a server that a test can cut, and mend again. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";

export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  /** Each end of a connection, with the other one. */
  readonly #open = new Map<Socket, Socket>();
  #isCut = false;
  /** How long what comes is under way, in ms. */
  #delayMs = 0;
  /** What the client sends before its answer is withheld. */
  #fatal: string | undefined;
  /** What the client sends that is kept back, who is told of it, and what lets it go. */
  #kept: { readonly text: string; readonly met: () => void; readonly freed: Promise<void> } | undefined;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async to(target: { readonly port: number }): Promise<TcpProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy = new TcpProxy(server, (server.address() as AddressInfo).port);
    server.on("connection", (near) => proxy.#join(near, target.port));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Breaks every connection, and those that come, until {@link mend}. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#open.keys()) socket.destroy();
  }

  /** Breaks every connection; those that come are let through. */
  snap(): void {
    this.cut();
    this.mend();
  }

  /** Keeps every connection open and passes nothing on, as a link does whose other end is gone without a word. */
  hold(): void {
    for (const socket of this.#open.keys()) {
      socket.unpipe();
      socket.pause();
    }
  }

  /** Passes one byte at a time on, each `everyMs` after the last one, over the connections that are open. */
  trickle(everyMs: number): void {
    for (const [socket, other] of this.#open) {
      socket.unpipe();
      socket.removeAllListeners("data");
      socket.pause();
      const timer = setInterval(() => {
        const byte = socket.read(1) as Buffer | null;
        if (byte !== null && !other.destroyed) other.write(byte);
      }, everyMs);
      socket.once("close", () => clearInterval(timer));
    }
  }

  /** Connections that are made from now on are slow: what comes goes on so much later, each way, in order. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Breaks the connection that next sends `text` once the server has answered, and withholds the answer. */
  cutAnswerTo(text: string): void {
    this.#fatal = text;
  }

  /** Keeps back what a client next sends from where it says `text` on. `met` resolves then; `free` lets it go on. */
  keepBack(text: string): { readonly met: Promise<void>; free(): void } {
    let free: () => void = () => undefined;
    const freed = new Promise<void>((resolve) => {
      free = resolve;
    });
    const met = new Promise<void>((resolve) => {
      this.#kept = { text, met: resolve, freed };
    });
    return { met, free };
  }

  mend(): void {
    this.#isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(near: Socket, port: number): void {
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = connect({ host: "127.0.0.1", port });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#open.set(socket, other);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#open.delete(socket);
        other.destroy();
      });
    }
    near.on("data", (chunk: Buffer) => {
      if (this.#fatal === undefined || !chunk.includes(this.#fatal)) return;
      this.#fatal = undefined;
      far.unpipe(near);
      far.once("data", () => far.destroy());
      far.resume();
    });
    if (this.#delayMs > 0) {
      late(near, far, this.#delayMs);
      late(far, near, this.#delayMs);
      return;
    }
    near.pipe(this.#gate()).pipe(far);
    far.pipe(near);
  }

  #gate(): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, pass) => {
        const kept = this.#kept;
        if (kept === undefined || !chunk.includes(kept.text)) {
          pass(null, chunk);
          return;
        }
        this.#kept = undefined;
        kept.met();
        void kept.freed.then(() => pass(null, chunk));
      },
    });
  }
}

function late(from: Socket, to: Socket, ms: number): void {
  from.on("data", (chunk: Buffer) => {
    setTimeout(() => {
      if (!to.destroyed) to.write(chunk);
    }, ms);
  });
}
