/** Sessions that are in the middle of statements which may take long, so that a probe on them would wait. */
const busy = new WeakMap<object, number>();

export const isBusy = (session: object): boolean => busy.has(session);

/** Runs `work` on a session. A probe meanwhile does not wait behind it: it asks another session whether this one lives. */
export async function whileBusy<T>(session: object, work: () => Promise<T>): Promise<T> {
  busy.set(session, (busy.get(session) ?? 0) + 1);
  try {
    return await work();
  } finally {
    const left = (busy.get(session) ?? 1) - 1;
    if (left === 0) busy.delete(session);
    else busy.set(session, left);
  }
}
