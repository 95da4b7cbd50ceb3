/**
 * A stream of one page of rows and its changes. A hidden page lets go of its connection, since browsers allow few per server; each
 * new connection begins with the whole page, so nothing is missed. A browser gives up after an answer that is an error: then it is
 * asked again.
 */
export interface PageListener {
  /** Events by name, with their data. */
  readonly on: Readonly<Record<string, (data: string) => void>>;
  /** What is shown is no longer now. */
  readonly lost: () => void;
  /** The server refused. */
  readonly refused: () => void;
}

const AGAIN_AFTER_MS = 2000;

/** @returns what ends it */
export function openPageStream(address: string, { on, lost, refused }: PageListener): () => void {
  let source: EventSource | undefined;
  let later: ReturnType<typeof setTimeout> | undefined;
  const close = (): void => {
    clearTimeout(later);
    source?.close();
    source = undefined;
  };
  const open = (): void => {
    close();
    if (document.hidden) return;
    const opened = new EventSource(address);
    source = opened;
    for (const [name, take] of Object.entries(on)) opened.addEventListener(name, ({ data }) => take(data as string));
    opened.addEventListener("error", () => {
      if (source !== opened) return;
      lost();
      if (opened.readyState !== EventSource.CLOSED) return;
      refused();
      later = setTimeout(open, AGAIN_AFTER_MS);
    });
  };
  document.addEventListener("visibilitychange", open);
  open();
  return () => {
    document.removeEventListener("visibilitychange", open);
    close();
  };
}
