/**
 * The Node end of `abacus/1`: a program that loads a TypeScript or JavaScript module, says what it is, and calculates batches.
 * The other languages' ends are in `native/sdk`.
 */
import { connect, type Socket } from "node:net";
import { pathToFileURL } from "node:url";
import type { Json, StateEvent } from "@millrace/engine";
import { isFormat, MillraceError, systemEnv, WORKER_SOCKET } from "@millrace/engine/worker";
import { actorError } from "../../errors.ts";
import { didNotLoad, threw } from "../calculator-error.ts";
import { type CalculatorModule, calculatorOf, type PlacedPayload } from "../calculator-module.ts";
import { payloadDraft } from "../calculator-payloads.ts";
import { messagesOf } from "../calculator-result.ts";
import { allowTypeScript } from "../module-hooks.ts";
import { type LentToWorker, WorkerPayloads } from "../worker-payloads.ts";
import {
  encodeFrame,
  FRAME_BYTES_MAX,
  FrameReader,
  type HostFrame,
  PROTOCOL,
  type WireOutcome,
  type WorkerFrame,
} from "./frame.ts";

const SDK = "node 0.1.0";
const CREDIT_ROWS = 4096;
/** Results are gathered for as long, so that whoever waits knows how far the batch is. */
const GATHER_MS = 20;
/** Or until their payloads are as large. */
const GATHER_BYTES = 1024 * 1024;

type Welcome = Extract<HostFrame, { is: "welcome" }>;
type Batch = Extract<HostFrame, { is: "batch" }>;
type Result = Extract<WorkerFrame, { is: "result" }>;

const { clock } = systemEnv();

class NodeWorker {
  readonly #socket: Socket;
  #module: CalculatorModule | undefined;
  #welcome: Welcome | undefined;
  /** Payloads are read from their files: this process has no part in the host's store. */
  readonly #payloads = new WorkerPayloads(null);
  /** A result since the last frame has bytes in it. */
  #hasDrafts = false;
  /** Of those. */
  #draftBytes = 0;
  #cancelled = 0;
  #onCancel: () => void = () => undefined;
  /** Frames are handled one after the other. */
  #turn: Promise<void> = Promise.resolve();

  constructor(socket: Socket) {
    this.#socket = socket;
    const reader = new FrameReader();
    socket.on("data", (bytes) => {
      for (const frame of reader.read(bytes)) this.#receive(frame as HostFrame);
    });
    // Without a host there is nothing to do.
    socket.on("close", () => process.exit(0));
    socket.on("error", () => process.exit(0));
    this.#send({ is: "hello", proto: PROTOCOL, lang: "node", sdk: SDK });
  }

  #send(frame: WorkerFrame): void {
    this.#socket.write(encodeFrame(frame));
  }

  #receive(frame: HostFrame): void {
    if (frame.is === "cancel") {
      this.#cancelled = frame.id;
      this.#onCancel();
    } else if (frame.is === "ping") this.#send({ is: "pong", n: frame.n });
    else this.#turn = this.#turn.then(() => this.#handle(frame));
  }

  async #handle(frame: HostFrame): Promise<void> {
    if (frame.is === "welcome") await this.#load(frame);
    else if (frame.is === "batch") await this.#batch(frame);
    else if (frame.is === "snapshot") this.#send({ is: "state", id: frame.id, state: this.#snapshot() });
    else if (frame.is === "restore") await this.#restore(frame.state);
    else if (frame.is === "drain") {
      this.#send({ is: "bye", reason: "drained" });
      this.#socket.end();
    }
  }

  async #load(welcome: Welcome): Promise<void> {
    this.#welcome = welcome;
    const url = pathToFileURL(welcome.file).href;
    try {
      allowTypeScript();
      const module = calculatorOf(await import(url), url, welcome.export);
      await module.init?.(welcome.config);
      const details = messagesOf(await module.details?.())[0] ?? null;
      this.#module = module;
      this.#send({
        is: "ready",
        name: welcome.node,
        stateful: module.snapshot !== undefined,
        details,
        credit: CREDIT_ROWS,
      });
    } catch (thrown) {
      const { code, message, place } = didNotLoad(thrown, url);
      this.#send({ is: "refused", code, msg: message, place: place ?? null });
    }
  }

  async #batch({ id, at, rows, payloads: places = {} }: Batch): Promise<void> {
    const module = this.#module as CalculatorModule;
    const { graph, node } = this.#welcome as Welcome;
    const isStateful = module.snapshot !== undefined;
    let out: WireOutcome[] = [];
    let from = 0;
    let flushed = clock.monotonic();
    const payloads = this.#payloads;
    payloads.begin(Object.entries(places).map(lentOf));
    const context = { at, graph, node, ...payloads.context };
    const told = { opens: 0, copies: 0 };
    const result = (end: boolean): Result => {
      const { opens, copies } = payloads.use;
      const used = { opens: opens - told.opens, copies: copies - told.copies };
      Object.assign(told, { opens, copies });
      const drafts = this.#hasDrafts;
      this.#hasDrafts = false;
      this.#draftBytes = 0;
      return { is: "result", id, from, out, end, ...(used.opens > 0 && used), ...(drafts && { drafts }) };
    };
    for (const row of rows) {
      if (this.#cancelled === id) break;
      const outcome = await this.#outcome(id, row, context);
      if (outcome === undefined) break;
      out.push(outcome);
      if (isStateful && outcome !== null && "code" in outcome) break;
      if (clock.monotonic() - flushed < GATHER_MS && this.#draftBytes < GATHER_BYTES) continue;
      this.#sendResult(result(false));
      from += out.length;
      out = [];
      flushed = clock.monotonic();
    }
    this.#sendResult(result(true));
    if (rows.length > 0) this.#send({ is: "credit", rows: rows.length });
  }

  /** In as many frames as it needs. What cannot be sent by itself is a failure of its row. */
  #sendResult(result: Result): void {
    const frame = encodeFrame(result);
    if (frame.length <= FRAME_BYTES_MAX) {
      this.#socket.write(frame);
      return;
    }
    const { out, from, end } = result;
    const half = out.length >>> 1;
    if (half === 0) {
      const msg = `the result cannot be sent: it takes ${frame.length} bytes, more than a frame holds`;
      const place = { file: this.#welcome?.file ?? "" };
      this.#send({ ...result, out: [{ code: "CALC-RESULT", msg, place }] });
      return;
    }
    this.#sendResult({ ...result, out: out.slice(0, half), end: false });
    const { opens: _, copies: __, ...rest } = result;
    this.#sendResult({ ...rest, from: from + half, out: out.slice(half), end });
  }

  /** `undefined`: it was cancelled while it waited. */
  async #outcome(
    id: number,
    row: Json,
    context: Parameters<CalculatorModule["calculate"]>[1],
  ): Promise<WireOutcome | undefined> {
    const { calculate } = this.#module as CalculatorModule;
    try {
      const result = calculate(row, context);
      if (!(result instanceof Promise)) return this.#wireOf(result);
      const cancelled = new Promise<typeof NEVER_DONE>((resolve) => {
        this.#onCancel = () => this.#cancelled === id && resolve(NEVER_DONE);
      });
      const settled: unknown = await Promise.race([result, cancelled]);
      return settled === NEVER_DONE ? undefined : this.#wireOf(settled);
    } catch (thrown) {
      const { code, message, place } = threw(thrown, pathToFileURL(this.#welcome?.file ?? "").href);
      return { code, msg: message, place: place ?? null };
    }
  }

  #wireOf(result: unknown): WireOutcome {
    const messages = messagesOf(result, (bytes, format) => {
      this.#hasDrafts = true;
      this.#draftBytes += bytes.length;
      return payloadDraft(bytes, format);
    });
    return messages.length === 0 ? null : messages;
  }

  #snapshot(): StateEvent {
    return (this.#module?.snapshot?.() ?? null) as StateEvent;
  }

  async #restore(state: StateEvent): Promise<void> {
    await this.#module?.restore?.(state);
    this.#send({ is: "state", id: 0, state: null });
  }
}

function lentOf([sha256, { path, offset, length, format }]: [string, PlacedPayload]): LentToWorker {
  const known = isFormat(format) ? format : "raw";
  return { reference: { sha256, length, format: known }, place: { path, offset } };
}

const NEVER_DONE = Symbol("cancelled");

function serve(): void {
  const path = process.env[WORKER_SOCKET];
  if (path === undefined)
    throw actorError("CALC-START", `${WORKER_SOCKET} is not set: this program is started by a host`);
  // The calculator's own code cannot ask for another.
  delete process.env[WORKER_SOCKET];
  // A stray rejection or a throw in a callback belongs to no message; it must not take the messages at work with it.
  process.on("unhandledRejection", (reason) => {
    if (reason instanceof MillraceError) throw reason;
    process.stderr.write(`calculator: unhandled rejection: ${String(reason)}\n`);
  });
  process.on("uncaughtException", (thrown) => process.stderr.write(`calculator: uncaught: ${String(thrown)}\n`));
  const socket = connect(path, () => new NodeWorker(socket));
}

serve();
