import { type ReactElement, useEffect, useRef, useSyncExternalStore } from "react";
import { type Connection, live } from "./live-store.ts";

/** A number or text that follows the live data without React: it is written into its element directly. */
export function LiveText({
  read,
  className,
}: {
  readonly read: () => string;
  readonly className?: string;
}): ReactElement {
  const element = useRef<HTMLSpanElement>(null);
  const reading = useRef(read);
  reading.current = read;
  useEffect(() => {
    const write = (): void => {
      const text = reading.current();
      if (element.current && element.current.textContent !== text) element.current.textContent = text;
    };
    write();
    return live.on("status", write);
  });
  return <span ref={element} className={className} />;
}

/** A value of the live data that React renders; it renders again only when the text of the value changes. */
export function useLive<T>(read: () => T): T {
  const kept = useRef<{ text: string | undefined; value: T } | undefined>(undefined);
  return useSyncExternalStore(
    (listener) => live.on("status", listener),
    () => {
      const value = read();
      const text: string | undefined = JSON.stringify(value);
      if (!kept.current || kept.current.text !== text) kept.current = { text, value };
      return kept.current.value;
    },
  );
}

export function useConnection(): Connection {
  return useSyncExternalStore(
    (listener) => live.on("connection", listener),
    () => live.connection,
  );
}
