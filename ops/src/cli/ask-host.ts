/** Asks the running host of a data directory over its care socket. */
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { type ErrorReport, errnoOf, MillraceError } from "@millrace/engine";
import { opsError } from "../errors.ts";
import { withSocketPath } from "../retention/care-address.ts";
import { lineOf } from "../retention/care-socket.ts";
import type { CareRequest, CareVerb, LogCare } from "../retention/log-care.ts";

const ANSWER_BYTES_MAX = 64 << 20;
/** A host that ends resets the connections that it has not taken yet. */
const NOBODY = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET", "ENOTDIR"]);

/** True if a host listens. @throws HOST-CARE it may not be reached */
export async function isRunning(directory: string): Promise<boolean> {
  const socket = await connected(directory);
  socket?.destroy();
  return socket !== undefined;
}

/** @param directory of the socket */
export function careOfHost(directory: string): LogCare {
  const ask = async <Verb extends CareVerb>(verb: Verb, request: CareRequest<Verb>): Promise<unknown> => {
    const socket = await connected(directory);
    if (socket === undefined) throw lost();
    try {
      socket.write(`${JSON.stringify({ verb, request })}\n`);
      return resultOf(await lineOf(socket, ANSWER_BYTES_MAX).catch(() => undefined));
    } finally {
      socket.destroy();
    }
  };
  // A host answers what its own care answers; it is of the same version, or it refuses.
  const asking = (verb: CareVerb) => (request: CareRequest<CareVerb>) => ask(verb, request);
  return {
    archive: asking("archive"),
    prune: asking("prune"),
    holds: asking("holds"),
    placeHold: asking("placeHold"),
    releaseHold: asking("releaseHold"),
    erase: asking("erase"),
  } as LogCare;
}

async function connected(directory: string): Promise<Socket | undefined> {
  try {
    return await withSocketPath(directory, async (path) => {
      const socket = createConnection(path);
      await once(socket, "connect");
      return socket;
    });
  } catch (cause) {
    if (NOBODY.has(errnoOf(cause) ?? "")) return undefined;
    throw opsError("HOST-CARE", "the running host cannot be reached", { cause, place: { file: directory } });
  }
}

function resultOf(line: string | undefined): unknown {
  if (line === undefined) throw lost();
  // Written by a host of ours, into a folder that only its owner may enter.
  const reply = JSON.parse(line) as { readonly result?: unknown; readonly error?: ErrorReport };
  if (reply.error === undefined) return reply.result;
  const { code, kind, message, place, details, causes = [] } = reply.error;
  throw new MillraceError(code, kind, [message, ...causes].join(": "), {
    ...(place === undefined ? {} : { place }),
    ...(details === undefined ? {} : { details }),
  });
}

function lost(): MillraceError {
  return opsError("HOST-LOST", "the host ended before it answered");
}
