/**
 * Opens connections to services, each checked where it leads, not what it is called: names are resolved once for checking and
 * connecting, and the peer of the connected socket is looked at again before anything is written, so that neither a redirect nor a
 * name whose answer changes (DNS rebinding) reaches an address that may not be called.
 */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { connect as connectTcp, isIP, type LookupFunction, type NetConnectOpts, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { httpClientError, type MillraceError } from "@millrace/engine";
import type { Agent, buildConnector } from "undici";
import { AddressGuard } from "./address-guard.ts";

export interface GuardedHttpOptions {
  /** Networks that may be called although they are not public. Default none. */
  readonly allow?: readonly string[];
  /** Connections to one origin at most. Default 8. */
  readonly connections?: number;
  /** For connecting, in ms. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** Authorities, as PEM, that certificates are signed by. Default: the system's. */
  readonly ca?: string | undefined;
  /** How names are resolved. Default: the system's way. */
  readonly lookup?: LookupFunction;
}

const CONNECT_MS = 5000;

export class GuardedDialer {
  readonly #options: GuardedHttpOptions;
  readonly #guard: AddressGuard;

  constructor(options: GuardedHttpOptions) {
    this.#options = options;
    this.#guard = new AddressGuard(options.allow ?? []);
  }

  /** An address that is a number is not looked up. @throws HTTP-ADDRESS */
  check(url: URL): void {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) !== 0 && !this.#guard.permits(host)) throw refusal(url.origin + url.pathname, host);
  }

  /** For undici. The library is large; only graphs that call should pay for loading it. */
  async agent(): Promise<Agent> {
    const undici = await import("undici");
    const timeout = this.#options.connectTimeoutMs ?? CONNECT_MS;
    const { ca } = this.#options;
    const trusted = ca === undefined ? {} : { ca };
    const connect = undici.buildConnector({ timeout, lookup: this.lookup as never, ...trusted });
    return new undici.Agent({
      connect: this.#guarded(connect),
      connections: this.#options.connections ?? 8,
      pipelining: 1,
      // Who asks has a deadline over all.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** For clients that take a connected socket, or one that connects. */
  socket(options: NetConnectOpts & ConnectionOptions, isSecure: boolean): Socket {
    const { host = "", servername = isIP(host) === 0 ? host : "" } = options as ConnectionOptions;
    // The path of a request is not that of a local socket.
    const guarded = { ...options, path: undefined, servername, lookup: this.lookup } as NetConnectOpts &
      ConnectionOptions;
    const socket = isSecure ? connectTls(guarded) : connectTcp(guarded);
    socket.prependOnceListener("connect", () => {
      const { remoteAddress = "" } = socket;
      if (!this.#guard.permits(remoteAddress)) socket.destroy(refusal(host, remoteAddress));
    });
    return socket;
  }

  /** Only addresses that may be called are connected to: of a name with both kinds, the others. */
  readonly lookup = (hostname: string, options: LookupOptions, done: LookupDone): void => {
    const resolve = (this.#options.lookup ?? lookup) as LookupAll;
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return done(error, [] as never);
      const permitted = found.filter(({ address }) => this.#guard.permits(address));
      const [first] = permitted;
      if (first === undefined) done(refusal(hostname, found[0]?.address ?? "no address"), [] as never);
      else if (options.all === true) done(null, permitted as never);
      else done(null, first.address as never, first.family);
    });
  };

  #guarded(connect: buildConnector.connector): buildConnector.connector {
    return (options, done) => {
      connect(options, (error, socket) => {
        if (error || socket === null) return done(error ?? new Error("no socket"), null);
        const { remoteAddress = "" } = socket;
        if (this.#guard.permits(remoteAddress)) return done(null, socket);
        socket.destroy();
        done(refusal(options.hostname, remoteAddress), null);
      });
    };
  }
}

type LookupDone = Parameters<LookupFunction>[2];
type LookupAll = (
  hostname: string,
  options: LookupOptions,
  done: (error: Error | null, found: readonly LookupAddress[]) => void,
) => void;

function refusal(name: string, address: string): MillraceError {
  return httpClientError("HTTP-ADDRESS", `${name} leads to ${address}, which may not be called`, {
    details: { address },
  });
}
