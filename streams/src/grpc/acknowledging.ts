/** One call that streams both ways, as long as its connection stands: messages go out, and answers acknowledge or refuse them. */
import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import type { Env, Json, Timer } from "@millrace/engine";
import { valueAt } from "../http/field-path.ts";
import type { Unfinished } from "../resilience/outgoing.ts";
import { type FailureContext, sinkFailure } from "./call-failure.ts";
import { grpcError } from "./errors.ts";
import type { GrpcLink } from "./grpc-link.ts";
import { DEADLINE_MS } from "./method-feed.ts";
import type { MethodSinkOptions, OutgoingRequest } from "./method-sink-options.ts";

export class Acknowledging {
  readonly #options: MethodSinkOptions;
  readonly #context: FailureContext;
  readonly #unfinished: Unfinished;
  readonly #env: Env;
  #call: ClientDuplexStream<Buffer, Buffer> | undefined;
  /** Ids that were sent and are not answered, in order. */
  readonly #open = new Set<string>();
  #deadline: Timer | undefined;
  #refusal: Error | undefined;
  #done: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;

  constructor(options: MethodSinkOptions, context: FailureContext, unfinished: Unfinished, env: Env) {
    this.#options = options;
    this.#context = context;
    this.#unfinished = unfinished;
    this.#env = env;
  }

  /** A new call; answers to what an earlier one sent are of no use any more. */
  begin(link: GrpcLink): void {
    this.#call?.cancel();
    const call = link.both(this.#options.method.path);
    this.#call = call;
    this.#open.clear();
    const over = (error: Error): void => {
      if (call !== this.#call) return;
      this.#call = undefined;
      this.#fail(error);
      link.end(error);
    };
    call.on("data", (bytes: Buffer) => {
      if (call === this.#call) this.#hear(bytes);
    });
    call.on("error", (error: ServiceError) => over(sinkFailure(error, this.#context)));
    call.on("end", () =>
      over(grpcError("GRPC-ACK", `${this.#context.name} ended the call before it had acknowledged all`)),
    );
  }

  /** Resolves when each message was acknowledged. @throws GRPC-ACK, and what a failed call means */
  async send(link: GrpcLink, messages: readonly OutgoingRequest[]): Promise<void> {
    const call = this.#call;
    if (call === undefined) throw new Error(`the call of ${this.#context.name} has ended`);
    this.#refusal = undefined;
    for (const { id } of messages) this.#open.add(id);
    const answered = new Promise<void>((resolve, reject) => {
      this.#done = resolve;
      this.#fail = reject;
    });
    this.#awaitOne();
    for (const { bytes } of messages) call.write(bytes);
    try {
      await answered;
    } catch (error) {
      // What is left of it would come between the messages of the next attempt.
      this.#call = undefined;
      link.end(error);
      throw error;
    } finally {
      this.#deadline?.cancel();
    }
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  /** Each acknowledgement has its time, from the one before it. */
  #awaitOne(): void {
    const { deadlineMs = DEADLINE_MS } = this.#options;
    this.#deadline?.cancel();
    this.#deadline = this.#env.timers.after(deadlineMs, () => {
      const text = `${this.#context.name} acknowledged none of ${this.#open.size} messages in ${deadlineMs} ms`;
      this.#fail(grpcError("GRPC-ACK", text));
    });
  }

  #hear(bytes: Buffer): void {
    const { ack, refused, method } = this.#options;
    try {
      const answer = method.answer.decode(bytes);
      const id = ack === undefined ? firstOf(this.#open) : textAt(answer, ack);
      if (id === undefined || !this.#open.delete(id))
        throw grpcError("GRPC-ACK", `${this.#context.name} acknowledged what was not sent`);
      const why = refused === undefined ? undefined : textAt(answer, refused);
      if (why === undefined) this.#unfinished.took(id);
      else this.#refusal ??= this.#refused(why);
      if (this.#open.size === 0) this.#done();
      else this.#awaitOne();
    } catch (error) {
      this.#fail(error);
    }
  }

  #refused(why: string): Error {
    const text = `${this.#context.name} refused a message: ${this.#context.hide(why).slice(0, 300)}`;
    return grpcError("GRPC-MESSAGE-REFUSED", text);
  }
}

function firstOf(ids: ReadonlySet<string>): string | undefined {
  const [first] = ids;
  return first;
}

function textAt(answer: Json, path: string): string | undefined {
  const value = valueAt(answer, path);
  return typeof value === "string" && value !== "" ? value : undefined;
}
