/** Encrypted connections to databases. */
import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";

/** `verify` checks the certificate's chain and name; `unverified` only encrypts. */
export interface Tls {
  readonly mode: "off" | "verify" | "unverified";
  /** Certificates to trust instead of the system's, as PEM. */
  readonly ca?: string;
}

/** `undefined`: no encryption. */
export function tlsOptions(tls: Tls | undefined, host: string): ConnectionOptions | undefined {
  if (tls === undefined || tls.mode === "off") return undefined;
  const name = isIP(host) === 0 ? { servername: host } : {};
  if (tls.mode === "unverified") return { rejectUnauthorized: false, ...name };
  return { rejectUnauthorized: true, ...name, ...(tls.ca === undefined ? {} : { ca: tls.ca }) };
}
