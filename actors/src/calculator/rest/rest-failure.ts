/**
 * What a failed request means. Three answers, by who is to blame: the service as a whole, which nothing is given up for; the
 * messages, or so it seems, and trying again may help; or the messages for certain.
 */
import { type HttpAnswer, MillraceError, retryAfterMs } from "@millrace/engine";
import { actorError } from "../../errors.ts";

export interface Failure {
  readonly blame: "service" | "perhaps" | "messages";
  readonly error: MillraceError;
}

const ANSWER_CHARS = 300;

/** Of a request without an answer. Anything else is thrown on. */
export function failureOf(thrown: unknown): Failure {
  if (!(thrown instanceof MillraceError)) throw thrown;
  const { code, message } = thrown;
  switch (code) {
    case "HTTP-UNREACHABLE":
      return { blame: "service", error: actorError("CALC-UNAVAILABLE", message, { cause: thrown }) };
    case "HTTP-DEADLINE":
      return { blame: "perhaps", error: actorError("CALC-TIMEOUT", message, { cause: thrown }) };
    case "HTTP-BROKEN":
      return { blame: "perhaps", error: actorError("CALC-EXIT", message, { cause: thrown }) };
    case "HTTP-ANSWER-SIZE":
      return { blame: "messages", error: actorError("CALC-PROTOCOL", message, { cause: thrown }) };
    case "HTTP-ADDRESS":
    case "HTTP-REDIRECT":
      // Nothing that a message says leads there.
      return { blame: "service", error: actorError("CALC-UNAVAILABLE", `${code}: ${message}`, { cause: thrown }) };
    case "CALC-PROTOCOL":
      return { blame: "messages", error: thrown };
    case "CALC-UNAVAILABLE":
    case "CALC-CREDENTIALS":
      return { blame: "service", error: thrown };
    default:
      throw thrown;
  }
}

/** Of an answer that is no success; `undefined` for one that is. `shown` takes secrets out of a text. */
export function refusalOf(answer: HttpAnswer, name: string, shown: (text: string) => string): Failure | undefined {
  const { status } = answer;
  if (status >= 200 && status < 300) return undefined;
  const said = shown(Buffer.from(answer.body.subarray(0, 4 * ANSWER_CHARS)).toString("utf8"));
  const message = `${name} answered ${status}${said.trim() === "" ? "" : `: ${said.trim().slice(0, ANSWER_CHARS)}`}`;
  const details = { status };
  if (status === 401 || status === 407)
    return { blame: "service", error: actorError("CALC-CREDENTIALS", message, { details }) };
  if ([408, 425, 429, 502, 503, 504].includes(status)) {
    const waitMs = retryAfterMs(answer.headers["retry-after"], answer.headers.date);
    const error = actorError("CALC-UNAVAILABLE", message, {
      details,
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    });
    return { blame: "service", error };
  }
  if (status >= 500) return { blame: "perhaps", error: actorError("CALC-THREW", message, { details }) };
  return { blame: "messages", error: actorError("CALC-REFUSED", message, { details }) };
}
