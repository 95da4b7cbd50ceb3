/** A server that commands ask, and what they show: for each test of a file anew. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, vi } from "vitest";

export interface AskedServer {
  readonly url: string;
  /** All that was written to stdout since the test began. */
  readonly shown: string;
}

export function askedServer(answer: RequestListener): AskedServer {
  let server: Server;
  const asked = { url: "", shown: "" };
  beforeEach(async () => {
    server = createServer(answer).listen(0, "127.0.0.1");
    await once(server, "listening");
    asked.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    asked.shown = "";
    vi.spyOn(process.stdout, "write").mockImplementation((part) => {
      asked.shown += String(part);
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    server.closeAllConnections();
    server.close();
  });
  return asked;
}
