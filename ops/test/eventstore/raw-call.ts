/** Calls of the endpoint below any client: bytes as they are on the wire, for what clients do not send. */
import { once } from "node:events";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";

/** A gRPC message with its prefix. */
export function frame(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag, 0);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

export function open(
  session: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): ClientHttp2Stream {
  return session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
}

export interface Outcome {
  readonly status: number;
  readonly message: string;
  /** Trailer `millrace-code`. */
  readonly code: string;
  /** Headers and trailers of the answer. */
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** Sends these bytes and takes the whole answer. */
export async function ask(
  session: ClientHttp2Session,
  path: string,
  bytes: Uint8Array,
  headers?: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const stream = open(session, path, headers);
  const seen: Record<string, unknown> = {};
  const chunks: Buffer[] = [];
  stream.on("response", (head) => Object.assign(seen, head));
  stream.on("trailers", (trailers) => Object.assign(seen, trailers));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => {});
  stream.end(bytes);
  await once(stream, "close");
  return {
    status: Number(seen["grpc-status"] ?? -1),
    message: decodeURIComponent(String(seen["grpc-message"] ?? "")),
    code: String(seen["millrace-code"] ?? ""),
    trailers: seen,
    body: Buffer.concat(chunks),
  };
}
