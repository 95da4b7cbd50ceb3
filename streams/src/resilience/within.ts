import type { Env } from "@millrace/engine";

/** The promise's outcome, or a rejection with `late()` when it takes longer than `timeoutMs`. */
export function within<T>(env: Env, timeoutMs: number, promise: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = env.timers.after(timeoutMs, () => reject(late()));
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (reason: unknown) => {
        timer.cancel();
        reject(reason as Error);
      },
    );
  });
}
