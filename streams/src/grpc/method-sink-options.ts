/** How messages are sent to a method. */
import type { JsonObject } from "@millrace/engine";
import type { ServiceMethod } from "./described-method.ts";

export interface MethodSinkOptions {
  readonly method: ServiceMethod;
  /** Names the sink among all that send there: graph and node. */
  readonly sink: string;
  /** Fields of every request. Default none. */
  readonly request?: JsonObject;
  /** Field of the request that the message is put into. Absent: it is the request. */
  readonly message?: string | undefined;
  /** Field of the request that is given the id. */
  readonly id?: string | undefined;
  /** Of calls that stream both ways: field of an answer with the id of what it acknowledges. Absent: in order. */
  readonly ack?: string | undefined;
  /** Of these, too: field of an answer that says why a message is refused. */
  readonly refused?: string | undefined;
  /** Most messages that are not answered yet. Default 1000 where they are streamed, else 1. */
  readonly inFlight?: number | undefined;
  /** For a call, or for an acknowledgement, in ms. Default 10 s. */
  readonly deadlineMs?: number | undefined;
}

/** A message on its way. */
export interface OutgoingRequest {
  readonly id: string;
  readonly bytes: Buffer;
}
