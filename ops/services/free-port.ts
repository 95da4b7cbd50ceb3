/**
 * A port that nobody listens on now, for a server that has to be told one. It is none that the system gives to who asks for any: another
 * test would be given it before the server has it.
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const LOWEST = 20_000;
/** Where Linux begins with those that it gives, unless it is told otherwise. */
const GIVEN_FROM = 32_768;

export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, givenFrom());
    if (await isFree(port)) return port;
  }
}

function givenFrom(): number {
  try {
    const [from] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/).map(Number);
    return from !== undefined && from > LOWEST ? from : GIVEN_FROM;
  } catch {
    return GIVEN_FROM;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
