/** Finds connections whose other end is gone without a word, so that their calls end and free what they hold. */
import type { ServerHttp2Session } from "node:http2";
import type { Env, Timer } from "@millrace/engine";

const PING_EVERY_MS = 30_000;

/** Pings until the session closes; one that does not answer before the next ping is destroyed. */
export function keepAlive(session: ServerHttp2Session, env: Env): void {
  let timer: Timer;
  let isAnswered = true;
  const ping = (): void => {
    if (session.destroyed) return;
    if (!isAnswered) {
      session.destroy();
      return;
    }
    isAnswered = false;
    session.ping((failure) => {
      isAnswered = failure === null;
    });
    timer = env.timers.after(PING_EVERY_MS, ping);
  };
  timer = env.timers.after(PING_EVERY_MS, ping);
  session.on("close", () => timer.cancel());
}
