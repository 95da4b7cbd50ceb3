/** A real PostgreSQL server for tests, Debian's. It refuses to run as root, so there it runs as Debian's `postgres`. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readdirSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import pg from "pg";
import type { Certificate } from "./certificate.ts";
import { type ServerKind, ServerProcess } from "./server-process.ts";

/** The reason why there is none; `undefined` where there is one. */
export const postgresMissing: string | undefined = process.env.MILLRACE_SKIP_POSTGRES || undefined;

/** Debian keeps the programs of each version in a folder of its own. */
const VERSIONS = "/usr/lib/postgresql";

/** Every connection is the superuser `postgres`, without a password; with a certificate, each must be encrypted. */
export function startPostgres(certificate?: Certificate): Promise<ServerProcess> {
  return ServerProcess.start(kindOf(certificate));
}

/** A connection whose end is not an error of the test: its next query says so. */
export async function postgresClient({ port }: ServerProcess): Promise<pg.Client> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

function kindOf(certificate: Certificate | undefined): ServerKind {
  const programs = join(newestVersion(), "bin");
  const owner = process.getuid?.() === 0 ? statSync("/var/lib/postgresql") : undefined;
  const as = owner === undefined ? {} : { uid: owner.uid, gid: owner.gid };
  // What is killed here are processes, not the machine, so nothing needs to be forced to disk.
  const all = { wal_level: "logical", fsync: "off", max_prepared_transactions: "4" };
  return {
    name: "postgres",
    binary: join(programs, "postgres"),
    ...as,
    stopSignal: "SIGINT",
    prepare(directory) {
      if (owner !== undefined) chownSync(directory, owner.uid, owner.gid);
      const data = join(directory, "data");
      const made = ["-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"];
      execFileSync(join(programs, "initdb"), ["-D", data, ...made], { ...as, stdio: "pipe" });
      if (certificate !== undefined) useCertificate(certificate, data, owner);
    },
    args: (port, directory) => [
      ...["-D", join(directory, "data"), "-h", "127.0.0.1", "-p", String(port), "-k", directory],
      ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    greet,
  };
}

/** The key must be the server's own. */
function useCertificate({ cert, key }: Certificate, data: string, owner: Stats | undefined): void {
  for (const [from, name] of [
    [cert, "server.crt"],
    [key, "server.key"],
  ] as const) {
    const to = join(data, name);
    copyFileSync(from, to);
    chmodSync(to, 0o600);
    if (owner !== undefined) chownSync(to, owner.uid, owner.gid);
  }
  appendFileSync(join(data, "postgresql.conf"), "ssl = on\n");
  writeFileSync(join(data, "pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n");
}

function newestVersion(): string {
  if (!existsSync(VERSIONS)) throw new Error(`there is no PostgreSQL server in ${VERSIONS}`);
  const [newest = ""] = readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a));
  return join(VERSIONS, newest);
}

/** Answers with its version; while it still recovers, it answers with an error. */
async function greet(socket: Socket): Promise<string> {
  const body = Buffer.from("\0\x03\0\0user\0postgres\0database\0postgres\0\0", "latin1");
  const head = Buffer.alloc(4);
  head.writeInt32BE(body.length + 4);
  socket.write(Buffer.concat([head, body]));
  let said = "";
  while (!said.includes("TimeZone\0")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    said += chunk.toString("latin1");
    // Where all must be encrypted, the refusal is the greeting.
    if (said.includes("C28000")) return "";
    if (said.startsWith("E")) throw new Error(said);
  }
  return /server_version\0([\d.]+)/.exec(said)?.[1] ?? "";
}
