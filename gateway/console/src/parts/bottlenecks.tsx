import type { ReactElement } from "react";
import { percent } from "../format.ts";
import { live } from "../live/live-store.ts";
import { useLive } from "../live/use-live.tsx";

/** What holds the graph back, the worst first, each with its cause. */
export function Bottlenecks({
  graph,
  onSelect,
}: {
  readonly graph: string;
  readonly onSelect: (node: string) => void;
}): ReactElement | null {
  const list = useLive(() => live.graph(graph)?.bottlenecks ?? []);
  if (list.length === 0) return null;
  return (
    <section className="bottlenecks" aria-label="Bottlenecks">
      <h2>Bottlenecks</h2>
      <ol>
        {list.slice(0, 3).map(({ node, share, sentence }) => {
          const level = share > 0.855 ? "bad" : share > 0.605 ? "warn" : "calm";
          return (
            <li key={node}>
              <button type="button" onClick={() => onSelect(node)}>
                <span className={`glyph glyph-${level}`} aria-hidden="true">
                  {level === "bad" ? "■" : level === "warn" ? "▲" : "·"}
                </span>
                <span className="bottleneck-node">
                  {node}
                  <em>{sentence}</em>
                </span>
                <span className={`num glyph-${level}`}>{percent(share)}</span>
              </button>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
