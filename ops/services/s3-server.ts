/** A real S3 service for tests: versitygw over a folder, which keeps what it was given when it is killed. */
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { s3Gateway } from "../bin/setup.mjs";
import type { Certificate } from "./certificate.ts";
import { ServerProcess } from "./server-process.ts";

/** The reason why there is none; `undefined` where there is one. */
export const s3Missing: string | undefined = process.env.MILLRACE_SKIP_S3 || undefined;

/** With the slashes and plus signs that secrets of AWS have. */
export const S3_KEY = { id: "millrace", secret: "se/cr+et=/+" };

/** The service, and the folder with a folder for each bucket, in which objects are plain files. */
export interface S3Server {
  readonly server: ServerProcess;
  readonly buckets: string;
}

/** With a certificate every connection must be encrypted. */
export async function startS3(certificate?: Certificate): Promise<S3Server> {
  let buckets = "";
  const server = await ServerProcess.start({
    name: "s3",
    binary: s3Gateway,
    prepare(directory) {
      for (const name of ["data", "side"]) mkdirSync(join(directory, name));
      buckets = join(directory, "data");
    },
    args: (port, directory) => [
      ...["--port", `127.0.0.1:${port}`, "--access", S3_KEY.id, "--secret", S3_KEY.secret, "--quiet"],
      ...(certificate === undefined ? [] : ["--cert", certificate.cert, "--key", certificate.key]),
      ...["posix", "--sidecar", join(directory, "side"), join(directory, "data")],
    ],
    greet: certificate === undefined ? greet : greetEncrypted,
  });
  return { server, buckets };
}

/** It ends what does not begin as an encrypted connection does. */
async function greetEncrypted(socket: Socket): Promise<string> {
  socket.resume().write("hello\r\n");
  await once(socket, "end");
  return "versitygw";
}

/** Without a signature it refuses, in the form of an S3 service. */
async function greet(socket: Socket): Promise<string> {
  socket.write("GET /bucket?list-type=2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(socket, "end");
  if (!text.includes("<Error>")) throw new Error("no answer of an S3 service");
  return "versitygw";
}
