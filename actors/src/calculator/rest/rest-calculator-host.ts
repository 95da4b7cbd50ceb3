/**
 * A calculator that is a service over HTTP. Every row gets an outcome, whatever the service does; what a service that is down,
 * overloaded or does not know us fails, is no row's fault: the whole run fails, transient, and is done again.
 *
 * A batch that failed otherwise is halved until the row to blame is alone; a row alone is tried again while that may help. The
 * service sees a message at least once; of its answers one is logged.
 */
import {
  backoffDelayMs,
  type Credentials,
  credentialsOf,
  type Env,
  type HttpAuth,
  type HttpClient,
  type Json,
  MillraceError,
  mapPayloads,
  messageOf,
  type Place,
  referencesIn,
  sleep,
} from "@millrace/engine";
import { actorError } from "../../errors.ts";
import { bytesOf } from "../../sink-payloads.ts";
import type { CalculatorHost, Outcome } from "../calculator-host.ts";
import type { CalculatorContext } from "../calculator-module.ts";
import type { BatchPayloads, CalculatorPayloads } from "../calculator-payloads.ts";
import { CallCircuit, type CallCircuitOptions } from "./call-circuit.ts";
import { CONTENT_TYPE, encodeBody, type RestFormat, resultsOf, withDrafts } from "./rest-body.ts";
import { type Failure, failureOf, refusalOf } from "./rest-failure.ts";

export interface RestCalculatorOptions {
  readonly url: string;
  readonly client: HttpClient;
  /** Where the graph names the service. */
  readonly place: Place;
  /** Most messages in one request, as a list. Absent: one, as it is. */
  readonly batch?: number;
  /** Default json. */
  readonly format?: RestFormat;
  readonly auth?: HttpAuth;
  /** Of every request; may hold secrets. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Requests at the same time. Default 8. */
  readonly connections?: number;
  /** For one request, in ms. Default 10 000. */
  readonly deadlineMs?: number;
  /** How often a request is sent before it has failed. Default 3. */
  readonly attemptsMax?: number;
  /** First wait before another attempt, in ms; doubles up to 5000, with a fifth of jitter. Default 100. */
  readonly backoffMs?: number;
  readonly circuit?: CallCircuitOptions;
  /** Most bytes of an answer. Default 16 MiB. */
  readonly answerBytesMax?: number;
  /** Most bytes of payloads in one request, before they become base64. Default 16 MiB. */
  readonly payloadBytesMax?: number;
  /** What says what the service is. */
  readonly detailsUrl?: string;
  /** Absent: rows name no payloads, or none that could be read. */
  readonly payloads?: CalculatorPayloads | undefined;
}

const MIB = 1024 * 1024;
const BACKOFF_MS_MAX = 5000;
const JITTER = 0.2;
const DETAILS_BYTES_MAX = 64 * 1024;

type Row = { readonly index: number; readonly value: Json };

/** Rows that go together: no more than `size`, nor more bytes of payloads than a request may have, but for a row alone. */
function batchesOf(rows: readonly Json[], size: number, bytesMax: number): Row[][] {
  const batches: Row[][] = [];
  let room = 0;
  for (const [index, value] of rows.entries()) {
    const bytes = [...referencesIn(value).values()].reduce((sum, { length }) => sum + length, 0);
    const last = batches.at(-1);
    room -= bytes;
    if (last === undefined || last.length === size || room < 0) {
      batches.push([{ index, value }]);
      room = bytesMax - bytes;
    } else last.push({ index, value });
  }
  return batches;
}

export class RestCalculatorHost implements CalculatorHost {
  readonly #options: RestCalculatorOptions;
  readonly #env: Env;
  readonly #credentials: Credentials;
  readonly #circuit: CallCircuit;
  readonly #closed = new AbortController();
  readonly #name: string;
  #requests = 0;
  #retries = 0;
  #failures = 0;
  #isHealthy: boolean | undefined;
  #lastFailure: MillraceError | undefined;
  #details: Json = null;

  constructor(options: RestCalculatorOptions, env: Env) {
    this.#options = options;
    this.#env = env;
    this.#credentials = credentialsOf(options.auth, options.client, env, {
      unavailable: (message, details) => actorError("CALC-UNAVAILABLE", message, details),
      refused: (message) => actorError("CALC-CREDENTIALS", message),
    });
    this.#circuit = new CallCircuit(options.circuit ?? {}, env);
    const { origin, pathname } = new URL(options.url);
    this.#name = origin + pathname;
  }

  /** Asks the service what it is. That it does not say is no failure. */
  async open(): Promise<void> {
    const { detailsUrl, client, headers, deadlineMs = 10_000 } = this.#options;
    if (detailsUrl === undefined) return;
    try {
      const given = { ...headers, ...(await this.#credentials.headers()), accept: "application/json" };
      const limits = { deadlineMs, answerBytesMax: DETAILS_BYTES_MAX };
      const answer = await client.request({ method: "GET", url: detailsUrl, headers: given, ...limits });
      const [details] = answer.status === 200 ? resultsOf(answer, 1, false) : [];
      if (Array.isArray(details)) this.#details = (details.length === 1 ? details[0] : details) as Json;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#lastFailure = error;
    }
  }

  async run(rows: readonly Json[], _: CalculatorContext, payloads: BatchPayloads): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = new Array(rows.length);
    const { batch: size = 1 } = this.#options;
    await this.#all(batchesOf(rows, size, this.#payloadBytesMax), async (batch) => {
      // Here and not before: the bytes of no more requests than are under way are in memory.
      const able: Row[] = [];
      for (const row of batch) {
        const whole = await this.#whole(row.value);
        if (whole instanceof MillraceError) outcomes[row.index] = { error: whole, attempts: 1 };
        else able.push({ ...row, value: whole });
      }
      if (able.length === 0) return;
      for (const [i, outcome] of (await this.#outcomes(able, payloads)).entries())
        outcomes[(able[i] as Row).index] = outcome;
    });
    return outcomes;
  }

  get #payloadBytesMax(): number {
    return this.#options.payloadBytesMax ?? 16 * MIB;
  }

  /** The row with bytes in place of references, which mean nothing elsewhere. */
  async #whole(row: Json): Promise<Json | MillraceError> {
    const { payloads } = this.#options;
    if (payloads === undefined) return row;
    let bytesMax = this.#payloadBytesMax;
    try {
      return await mapPayloads(row, async (payload, value) => {
        if (!("sha256" in payload)) return value;
        const whole = await bytesOf(payload, { exchange: payloads.exchange, bytesMax });
        bytesMax -= payload.length;
        return whole;
      });
    } catch (error) {
      if (!(error instanceof MillraceError) || error.kind === "transient" || error.kind === "programmer") throw error;
      return error;
    }
  }

  /** Several at a time; the first alone while nobody knows whether the service is back. All have ended when one has failed. */
  async #all(batches: readonly Row[][], send: (batch: Row[]) => Promise<void>): Promise<void> {
    let next = 0;
    let failure: unknown;
    const worker = async (): Promise<void> => {
      while (next < batches.length && failure === undefined) {
        try {
          await send(batches[next++] as Row[]);
        } catch (error) {
          failure ??= error;
        }
      }
    };
    this.#circuit.check();
    if (this.#circuit.state === "half-open" && batches.length > 0) await send(batches[next++] as Row[]);
    await Promise.all(Array.from({ length: this.#options.connections ?? 8 }, worker));
    if (failure !== undefined) throw failure;
  }

  async #outcomes(batch: readonly Row[], payloads: BatchPayloads): Promise<readonly Outcome[]> {
    const done = await this.#attempts(batch);
    if (!("error" in done)) return Promise.all(done.results.map((result) => this.#outcome(result, payloads)));
    if (batch.length === 1) {
      if (done.blame === "perhaps") this.#circuit.givenUp(done.error);
      return [{ error: done.error, attempts: done.attempts }];
    }
    const half = batch.length >> 1;
    const first = await this.#outcomes(batch.slice(0, half), payloads);
    return [...first, ...(await this.#outcomes(batch.slice(half), payloads))];
  }

  async #outcome(result: readonly Json[] | Error, payloads: BatchPayloads): Promise<Outcome> {
    if (result instanceof Error) return { error: this.#placed(result as MillraceError), attempts: 1 };
    try {
      return { out: await payloads.take(result.map(withDrafts)) };
    } catch (error) {
      if (!(error instanceof MillraceError) || error.kind === "transient" || error.kind === "programmer") throw error;
      return { error: this.#placed(error), attempts: 1 };
    }
  }

  /** @throws CALC-UNAVAILABLE, CALC-CREDENTIALS (transient) it is not these rows that fail */
  async #attempts(
    batch: readonly Row[],
  ): Promise<{ readonly results: readonly (readonly Json[] | Error)[] } | (Failure & { readonly attempts: number })> {
    const attemptsMax = this.#options.attemptsMax ?? 3;
    let hasRenewed = false;
    for (let attempt = 1; ; attempt++) {
      this.#circuit.check();
      const done = await this.#attempt(batch);
      if (!("error" in done)) return done;
      const { blame, error } = done;
      this.#closed.signal.throwIfAborted();
      if (blame === "messages") return { ...done, attempts: attempt };
      if (error.code === "CALC-CREDENTIALS") {
        if (hasRenewed || !this.#credentials.renew()) throw error;
        hasRenewed = true;
        attempt--;
        continue;
      }
      // Halves of it are the next attempt of a batch.
      const isLast = attempt >= attemptsMax || (blame === "perhaps" && batch.length > 1);
      if (isLast && blame === "service") throw error;
      const isWaitLong = (error.retryAfterMs ?? 0) > BACKOFF_MS_MAX;
      if (isWaitLong) throw error;
      if (!isLast || batch.length > 1) await this.#wait(attempt, error);
      if (isLast) return { ...done, attempts: attempt };
      this.#retries++;
    }
  }

  /** A wait is for failures that may pass; a service that says when to come again is believed. */
  #wait(attempt: number, error: MillraceError): Promise<void> {
    const policy = { backoffMs: this.#options.backoffMs ?? 100, backoffMaxMs: BACKOFF_MS_MAX, jitter: JITTER };
    const waitMs = Math.max(backoffDelayMs(policy, attempt, this.#env), error.retryAfterMs ?? 0);
    return sleep(this.#env, waitMs, this.#closed.signal);
  }

  async #attempt(batch: readonly Row[]): Promise<{ readonly results: readonly (readonly Json[] | Error)[] } | Failure> {
    const { url, client, format = "json", batch: size, deadlineMs = 10_000, answerBytesMax = 16 * MIB } = this.#options;
    const isList = size !== undefined;
    const values = batch.map(({ value }) => value);
    try {
      const headers = {
        ...this.#options.headers,
        ...(await this.#credentials.headers()),
        "content-type": CONTENT_TYPE[format],
        accept: CONTENT_TYPE[format],
      };
      const body = encodeBody(isList ? values : (values[0] as Json), format);
      this.#requests++;
      const answer = await client.request({ method: "POST", url, headers, body, deadlineMs, answerBytesMax });
      const refusal = refusalOf(answer, this.#name, (text) => this.#shown(text));
      if (refusal !== undefined) return this.#failed(refusal);
      const results = resultsOf(answer, values.length, isList);
      this.#circuit.answered();
      this.#isHealthy = true;
      return { results };
    } catch (thrown) {
      return this.#failed(failureOf(thrown));
    }
  }

  #failed({ blame, error }: Failure): Failure {
    const placed = this.#placed(error);
    this.#failures++;
    this.#lastFailure = placed;
    if (blame === "messages") this.#circuit.answered();
    else this.#isHealthy = false;
    if (blame === "service") this.#circuit.unreached(placed);
    return { blame, error: placed };
  }

  #placed(error: MillraceError): MillraceError {
    const { code, kind, retryAfterMs, details } = error;
    return new MillraceError(code, kind, this.#shown(error.message), {
      place: this.#options.place,
      cause: error.cause,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(details === undefined ? {} : { details }),
    });
  }

  /** A service that gives back what it was sent, to be seen in an error, must not give a secret away. */
  #shown(text: string): string {
    const secrets = [...this.#credentials.secrets, ...Object.values(this.#options.headers ?? {})];
    return secrets.filter((s) => s.length >= 4).reduce((shown, secret) => shown.replaceAll(secret, "***"), text);
  }

  describe(): Json {
    const { code, message } = this.#lastFailure ?? {};
    return {
      isolation: "service",
      address: this.#name,
      healthy: this.#isHealthy ?? true,
      circuit: this.#circuit.state,
      restarts: 0,
      requests: this.#requests,
      retries: this.#retries,
      failures: this.#failures,
      lastFailure: code === undefined ? null : `${code}: ${messageOf(message)}`,
      details: this.#details,
    };
  }

  async close(): Promise<void> {
    this.#closed.abort(actorError("CALC-UNAVAILABLE", "the calculator was closed"));
    await this.#options.client.close();
  }
}
