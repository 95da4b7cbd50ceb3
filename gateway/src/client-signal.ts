/**
 * Tells whether somebody still waits for an answer. A read that takes long asks for it: without, it would go on to its end for a client
 * that has left, and as many of them beside each other as somebody cares to begin.
 */
import type { Socket } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";
import { gatewayError } from "./errors.ts";

/** What ends with a connection: its answers may be many, one behind the other, and one listener is enough for all. */
const leaving = new WeakMap<Socket, Set<() => void>>();

/**
 * Aborts, with HTTP-CLIENT-GONE as its reason, when the client goes before the answer is complete. It is told by its connection: a
 * response that waits behind another of the same connection is not told itself.
 */
export function clientSignal({ raw: { socket } }: FastifyRequest, { raw: response }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  const leave = (): void => gone.abort(gatewayError("HTTP-CLIENT-GONE", "the client went before it had its answer"));
  const leaves = leavesOf(socket);
  leaves.add(leave);
  response.once("close", () => {
    leaves.delete(leave);
    // It may be told before its connection is.
    if (!response.writableFinished) leave();
  });
  if (socket.destroyed) leave();
  return gone.signal;
}

function leavesOf(socket: Socket): Set<() => void> {
  const known = leaving.get(socket);
  if (known !== undefined) return known;
  const leaves = new Set<() => void>();
  leaving.set(socket, leaves);
  socket.once("close", () => {
    for (const leave of leaves) leave();
  });
  return leaves;
}
