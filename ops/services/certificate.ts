/** A certificate of its own for a server on loopback; nobody else trusts it. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** The reason why none can be made; `undefined` where it can. */
export const opensslMissing: string | undefined = process.env.MILLRACE_SKIP_OPENSSL || undefined;

export interface Certificate {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
}

/**
 * @param directory where the files are made
 * @param name of the server that it is for
 */
export function selfSigned(directory: string, name = "localhost"): Certificate {
  const files = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem") };
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", [...made, ...subject, "-keyout", files.key, "-out", files.cert], { stdio: "ignore" });
  return files;
}
