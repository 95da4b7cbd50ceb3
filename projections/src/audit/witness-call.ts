/** The call `add-checkpoint` of https://c2sp.org/tlog-witness: a checkpoint and a proof go to a witness, its cosignature comes back. */
import { type HttpAnswer, type HttpClient, MillraceError, retryAfterMs } from "@millrace/engine";
import { auditError } from "./audit-errors.ts";
import { cosignedAtS, linesOf, type WitnessKey } from "./cosignature.ts";

/** A witness that is asked for cosignatures. */
export interface AskedWitness {
  readonly key: WitnessKey;
  /** Submission prefix: `add-checkpoint` is below it. */
  readonly url: string;
}

export interface CheckpointRequest {
  /** Size of the tree that the witness has cosigned last, as far as is known. */
  readonly old: number;
  /** That the tree of that size is the beginning of the checkpoint's. */
  readonly proof: readonly Uint8Array[];
  readonly note: string;
  readonly deadlineMs: number;
}

export interface CosignedNote {
  /** The note with the witness's cosignature as its last line. */
  readonly note: string;
  readonly line: string;
  readonly atS: number;
}

/** The size that the witness has cosigned last, where that is not the one it was told. */
export interface WitnessConflict {
  readonly size: number;
}

const ANSWER_BYTES_MAX = 16 * 1024;
const WHY_LENGTH_MAX = 200;

/** @throws WITNESS-UNAVAILABLE, WITNESS-REFUSED, WITNESS-ANSWER, WITNESS-FORK the witness does not accept the proof */
export async function addCheckpoint(
  http: HttpClient,
  { key, url }: AskedWitness,
  { old, proof, note, deadlineMs }: CheckpointRequest,
): Promise<CosignedNote | WitnessConflict> {
  const lines = [`old ${old}`, ...proof.map((hash) => Buffer.from(hash).toString("base64")), "", note];
  const answer = await http
    .request({
      method: "POST",
      url: `${url.replace(/\/+$/, "")}/add-checkpoint`,
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: Buffer.from(lines.join("\n"), "utf8"),
      deadlineMs,
      answerBytesMax: ANSWER_BYTES_MAX,
    })
    .catch((cause: unknown) => {
      if (!(cause instanceof MillraceError)) throw cause;
      const code = cause.code === "HTTP-ANSWER-SIZE" ? "WITNESS-ANSWER" : "WITNESS-UNAVAILABLE";
      throw auditError(code, `${key.name} at ${url}: ${cause.code} ${cause.message}`, { cause });
    });
  if (answer.status === 200) return cosigned(answer, key, note);
  if (answer.status === 409) return conflictOf(answer, key);
  throw refusal(answer, key, old);
}

function cosigned({ body }: HttpAnswer, key: WitnessKey, note: string): CosignedNote {
  const [line, ...more] = linesOf(Buffer.from(body).toString("utf8"), key);
  const whole = `${note}${line}\n`;
  const atS = line === undefined || more.length > 0 ? undefined : cosignedAtS(whole, key);
  if (line === undefined || atS === undefined)
    throw auditError("WITNESS-ANSWER", `${key.name} answered with no cosignature by its key`);
  return { note: whole, line, atS };
}

function conflictOf({ headers, body }: HttpAnswer, { name }: WitnessKey): WitnessConflict {
  const type = headers["content-type"]?.split(";")[0]?.trim();
  const [digits] = /^(?:0|[1-9]\d{0,15})(?=\n$)/.exec(Buffer.from(body).toString("utf8")) ?? [];
  const size = Number(digits);
  if (type !== "text/x.tlog.size" || !Number.isSafeInteger(size))
    throw auditError("WITNESS-ANSWER", `${name} answered 409 without a size`);
  return { size };
}

function refusal({ status, headers, body }: HttpAnswer, { name }: WitnessKey, old: number): Error {
  const [said = ""] = Buffer.from(body).toString("utf8").slice(0, WHY_LENGTH_MAX).split("\n");
  const why = said === "" ? "" : `: ${said.replaceAll(/[^\x20-\x7e]/g, "?")}`;
  if (status === 422) {
    const message = `${name} does not accept the proof that the first ${old} records are those it has cosigned${why}`;
    return auditError("WITNESS-FORK", message, { place: { position: old } });
  }
  if (status !== 429 && status < 500) return auditError("WITNESS-REFUSED", `${name} answered ${status}${why}`);
  const wait = retryAfterMs(headers["retry-after"], headers.date);
  return auditError(
    "WITNESS-UNAVAILABLE",
    `${name} answered ${status}${why}`,
    wait === undefined ? {} : { retryAfterMs: wait },
  );
}
