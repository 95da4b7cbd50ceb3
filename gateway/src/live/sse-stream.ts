/**
 * One server-sent event stream. Nothing is queued here: a writer asks {@link SseStream.hasRoom} first and leaves out what
 * a slow reader has no room for, so that a stalled tab costs a bounded amount of memory and holds nobody back.
 */
import type { Socket } from "node:net";
import type { Env, Json, Timer } from "@millrace/engine";
import type { FastifyReply } from "fastify";
import type { GatewayDeps } from "../deps.ts";

/** Bytes that may wait for one reader. */
export const BACKLOG_BYTES_MAX = 1 << 20;
const HEARTBEAT_MS = 15_000;

export class SseStream {
  readonly #reply: FastifyReply;
  readonly #env: Env;
  readonly #reveal: GatewayDeps["reveal"];
  readonly #ended = new AbortController();
  #heartbeat: Timer | undefined;

  constructor(reply: FastifyReply, { env, reveal }: Pick<GatewayDeps, "env" | "reveal">) {
    this.#reply = reply;
    this.#env = env;
    this.#reveal = reveal;
  }

  /** Aborts when the reader has gone or the server closes. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Takes the response over from fastify and sends the headers. */
  open(): void {
    const { raw } = this.#reply;
    this.#reply.hijack();
    this.#endWith(this.#reply.request.raw.socket);
    raw.on("error", () => this.end());
    raw.writeHead(200, {
      ...headersOf(this.#reply),
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    });
    raw.write("retry: 1000\n\n");
    if (!this.#ended.signal.aborted) this.#beat();
  }

  /** A response that waits behind another of its connection is not told when that has gone, nor is one whose has gone already. */
  #endWith(connection: Socket): void {
    const end = (): void => this.end();
    connection.once("close", end);
    this.#ended.signal.addEventListener("abort", () => connection.off("close", end), { once: true });
    if (connection.destroyed) this.end();
  }

  /** True while less than {@link BACKLOG_BYTES_MAX} waits for the reader. */
  get hasRoom(): boolean {
    return !this.#ended.signal.aborted && this.#reply.raw.writableLength < BACKLOG_BYTES_MAX;
  }

  get backlogBytes(): number {
    return this.#reply.raw.writableLength;
  }

  /** Writes one event; `json` is one line of JSON. */
  send(event: string, json: string, id?: number): void {
    if (this.#ended.signal.aborted) return;
    const head = id === undefined ? `event: ${event}\n` : `id: ${id}\nevent: ${event}\n`;
    this.#reply.raw.write(`${head}data: ${this.#revealed(json)}\n\n`);
  }

  #revealed(json: string): string {
    if (this.#reveal === undefined || !json.includes('"$sealed"')) return json;
    return JSON.stringify(this.#reveal(JSON.parse(json) as Json));
  }

  /** Resolves when everything written has left this process, or the stream has ended. */
  drained(): Promise<void> {
    const { raw } = this.#reply;
    if (!raw.writableNeedDrain || this.#ended.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        raw.off("drain", done);
        this.#ended.signal.removeEventListener("abort", done);
        resolve();
      };
      raw.once("drain", done);
      this.#ended.signal.addEventListener("abort", done, { once: true });
    });
  }

  end(): void {
    if (this.#ended.signal.aborted) return;
    this.#heartbeat?.cancel();
    this.#ended.abort();
    this.#reply.raw.end();
  }

  /** A comment now and then finds dead connections and keeps proxies from closing quiet ones. */
  #beat(): void {
    this.#heartbeat = this.#env.timers.after(HEARTBEAT_MS, () => {
      if (this.hasRoom) this.#reply.raw.write(": still here\n\n");
      this.#beat();
    });
  }
}

function headersOf(reply: FastifyReply): Record<string, string | number | string[]> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).filter(([, value]) => value !== undefined)) as Record<
    string,
    string | number | string[]
  >;
}
