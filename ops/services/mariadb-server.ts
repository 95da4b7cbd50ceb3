/** A real MariaDB server for tests, Debian's. As root it runs as Debian's `mysql`. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, copyFileSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Certificate } from "./certificate.ts";
import { ServerProcess } from "./server-process.ts";

/** The reason why there is none; `undefined` where there is one. */
export const mariadbMissing: string | undefined = process.env.MILLRACE_SKIP_MYSQL || undefined;

/** Every connection is `root`, without a password; with a certificate, each must be encrypted. */
export function startMariadb(certificate?: Certificate): Promise<ServerProcess> {
  const isRoot = process.getuid?.() === 0;
  const owner = isRoot ? statSync("/var/lib/mysql") : undefined;
  const as = owner === undefined ? {} : { uid: owner.uid, gid: owner.gid };
  return ServerProcess.start({
    name: "mariadb",
    binary: "/usr/sbin/mariadbd",
    ...as,
    prepare(directory) {
      if (owner !== undefined) chownSync(directory, owner.uid, owner.gid);
      const made = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"];
      const where = ["--no-defaults", `--datadir=${join(directory, "data")}`, ...made];
      execFileSync("mariadb-install-db", where, { ...as, stdio: "pipe" });
      for (const name of ["cert", "key"] as const) {
        if (certificate === undefined) continue;
        const to = join(directory, `${name}.pem`);
        copyFileSync(certificate[name], to);
        chmodSync(to, 0o600);
        if (owner !== undefined) chownSync(to, owner.uid, owner.gid);
      }
    },
    args: (port, directory) => [
      "--no-defaults",
      `--datadir=${join(directory, "data")}`,
      `--socket=${join(directory, "socket")}`,
      ...["--bind-address=127.0.0.1", `--port=${port}`, "--skip-name-resolve", "--innodb-buffer-pool-size=64M"],
      ...(certificate === undefined ? [] : tls(directory)),
    ],
    greet,
  });
}

const tls = (directory: string): readonly string[] => [
  `--ssl-cert=${join(directory, "cert.pem")}`,
  `--ssl-key=${join(directory, "key.pem")}`,
  "--require-secure-transport=on",
];

/** It speaks first, and says its version. */
async function greet(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, "data")) as [Buffer];
  const version = /\d+\.\d+\.\d+(?=-MariaDB)/.exec(chunk.toString("latin1"))?.[0];
  if (version === undefined) throw new Error("no greeting");
  return version;
}
