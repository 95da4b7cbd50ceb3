/**
 * Where a running host takes care requests: a Unix socket in a folder of the data directory that only its owner may enter. Whoever
 * can reach it could as well stop the host and change the files, so it asks for nothing more; requests are checked all the same.
 *
 * One request a connection: a line of JSON there, a line of JSON back.
 */
import { once } from "node:events";
import { chmod, mkdir, unlink } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { errnoOf, reportOf } from "@millrace/engine";
import { opsError } from "../errors.ts";
import { withSocketPath } from "./care-address.ts";
import type { CareVerb, LogCare } from "./log-care.ts";

const REQUEST_BYTES_MAX = 1 << 20;

export interface CareSocket {
  /** Takes nothing more, and waits until what was asked has been answered. */
  close(): Promise<void>;
}

/**
 * @param directory made when it is not there
 * @throws HOST-CARE the socket cannot be made
 */
export async function openCareSocket(directory: string, care: LogCare): Promise<CareSocket> {
  const silent = new Set<Socket>();
  const open = new Set<Promise<void>>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    silent.add(socket);
    const answered = answer(socket, care, () => silent.delete(socket)).finally(() => open.delete(answered));
    open.add(answered);
  });
  try {
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o700);
    await withSocketPath(directory, async (path) => {
      // Of a host that was killed: whoever opens this one has the lock of the log.
      await unlink(path).catch((thrown: unknown) => {
        if (errnoOf(thrown) !== "ENOENT") throw thrown;
      });
      server.listen(path);
      await once(server, "listening");
    });
  } catch (cause) {
    server.close();
    throw opsError("HOST-CARE", "the host cannot be made to take requests for its log", {
      cause,
      place: { file: directory },
    });
  }
  // The graphs keep the process alive, not this.
  server.unref();
  return {
    close: async () => {
      server.close();
      for (const socket of silent) socket.destroy();
      await Promise.all(open);
    },
  };
}

async function answer(socket: Socket, care: LogCare, spoke: () => void): Promise<void> {
  // Who asked may be gone before the answer: what was asked is done all the same.
  socket.on("error", () => socket.destroy());
  const line = await lineOf(socket).catch(() => undefined);
  spoke();
  if (line === undefined) return void socket.destroy();
  const reply = await replyTo(line, care);
  if (socket.writable) socket.end(`${JSON.stringify(reply)}\n`);
}

async function replyTo(line: string, care: LogCare): Promise<object> {
  try {
    return { result: await asked(line, care) };
  } catch (thrown) {
    return { error: reportOf(thrown) };
  }
}

async function asked(line: string, care: LogCare): Promise<unknown> {
  const { verb, request } = parsed(line);
  // Loaded with the first request: most hosts never get one.
  const [{ CARE_REQUESTS }, { Check, Errors }] = await Promise.all([
    import("./care-requests.ts"),
    import("typebox/value"),
  ]);
  if (typeof verb !== "string" || !Object.hasOwn(CARE_REQUESTS, verb))
    throw opsError("HOST-CARE", `the host does not know the request ${String(verb)}; is it of another version?`);
  // An own key of the catalogue.
  const known = verb as CareVerb;
  const schema = CARE_REQUESTS[known];
  if (!Check(schema, request)) {
    const [first] = Errors(schema, request);
    throw opsError("HOST-CARE", `the request ${known} cannot be read: ${first?.instancePath} ${first?.message}`);
  }
  // The schema of a verb is what its method takes.
  return (care[known] as (request: unknown) => Promise<unknown>).call(care, request);
}

function parsed(line: string): { readonly verb?: unknown; readonly request?: unknown } {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? value : {};
  } catch (cause) {
    throw opsError("HOST-CARE", "the request is not JSON", { cause });
  }
}

/** The first line that comes; `undefined` when the other side ends before, or goes on for too long. */
export async function lineOf(socket: Socket, bytesMax = REQUEST_BYTES_MAX): Promise<string | undefined> {
  let text = "";
  for await (const part of socket.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    text += part as string;
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
    if (text.length > bytesMax) return undefined;
  }
  return undefined;
}
