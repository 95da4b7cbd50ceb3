/** Why JetStream did not take a message. */
import { ErrorCode, type NatsError } from "nats";

/** Nobody took it. The client gives the same code to what a server refuses for want of room; that has an error of its own inside. */
export function isNoResponders(error: unknown): boolean {
  const { code, api_error: refusal } = error as NatsError;
  return code === ErrorCode.NoResponders && refusal === undefined;
}

/** The error in words: the client's own message of what a server says is a number. */
export function publishFailure(error: unknown, subject: string): unknown {
  if (isNoResponders(error)) return new Error(`no stream takes ${subject}`, { cause: error });
  const said = (error as NatsError).api_error?.description;
  return said === undefined ? error : new Error(`${subject}: ${said}`, { cause: error });
}
