import { useCallback, useEffect, useState } from "react";
import { RequestFailure } from "../api.ts";

export interface Answer<T> {
  readonly value: T | undefined;
  readonly failure: RequestFailure | undefined;
  readonly again: () => void;
}

/** Asks when `key` changes, and again every `everyMs`. The last good answer stays while a new one is on its way. */
export function useRequest<T>(key: string, ask: (signal: AbortSignal) => Promise<T>, everyMs?: number): Answer<T> {
  const [answer, setAnswer] = useState<{ key: string; value?: T; failure?: RequestFailure }>({ key });
  const [round, setRound] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` says when `ask` asks something else; `round` asks again.
  useEffect(() => {
    const controller = new AbortController();
    ask(controller.signal).then(
      (value) => controller.signal.aborted || setAnswer({ key, value }),
      (thrown: unknown) => {
        if (controller.signal.aborted) return;
        const failure =
          thrown instanceof RequestFailure ? thrown : new RequestFailure("UNEXPECTED", String(thrown), "");
        setAnswer((before) => ({ ...(before.key === key ? before : { key }), failure }));
      },
    );
    const timer = everyMs === undefined ? undefined : setTimeout(() => setRound((now) => now + 1), everyMs);
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [key, round]);
  const again = useCallback(() => setRound((now) => now + 1), []);
  const isOwn = answer.key === key;
  return { value: isOwn ? answer.value : undefined, failure: isOwn ? answer.failure : undefined, again };
}
