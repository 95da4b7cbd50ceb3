import { type ReactElement, type ReactNode, useEffect, useRef, useState } from "react";

interface VirtualListProps<T> {
  readonly label: string;
  readonly className: string;
  readonly rowHeight: number;
  readonly items: readonly T[];
  readonly keyOf: (item: T) => number | string;
  readonly row: (item: T) => ReactNode;
  /** Called when the person comes near the end. */
  readonly onEnd: () => void;
}

const OVERSCAN = 8;

/** A list of rows of one height that renders only those in sight. Rows that come in above do not move what is read. */
export function VirtualList<T>({
  label,
  className,
  rowHeight,
  items,
  keyOf,
  row,
  onEnd,
}: VirtualListProps<T>): ReactElement {
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ top: 0, height: 600 });
  const first = items[0];
  const firstKey = first === undefined ? undefined : keyOf(first);
  const before = useRef(firstKey);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = (): void => setPlace({ top: element.scrollTop, height: element.clientHeight });
    const resized = new ResizeObserver(measure);
    resized.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);
  useEffect(() => {
    const added = before.current === undefined ? -1 : items.findIndex((item) => keyOf(item) === before.current);
    before.current = firstKey;
    if (added > 0 && box.current && box.current.scrollTop > 0) box.current.scrollTop += added * rowHeight;
  }, [firstKey, items, keyOf, rowHeight]);
  const start = Math.max(0, Math.floor(place.top / rowHeight) - OVERSCAN);
  const end = Math.min(items.length, Math.ceil((place.top + place.height) / rowHeight) + OVERSCAN);
  const isNearEnd = items.length > 0 && end >= items.length - 20;
  // biome-ignore lint/correctness/useExhaustiveDependencies: asks once per length.
  useEffect(() => {
    if (isNearEnd) onEnd();
  }, [isNearEnd, items.length]);
  return (
    <div ref={box} className={`virtual ${className}`}>
      <ol aria-label={label} style={{ height: items.length * rowHeight }}>
        {items.slice(start, end).map((item, index) => (
          <li
            key={keyOf(item)}
            style={{ transform: `translateY(${(start + index) * rowHeight}px)`, height: rowHeight }}
          >
            {row(item)}
          </li>
        ))}
      </ol>
    </div>
  );
}
