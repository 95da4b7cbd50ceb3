import { type ReactElement, useEffect, useRef, useState } from "react";
import type { PeekedMessage } from "../api.ts";
import { clockMs, count, short } from "../format.ts";
import { live } from "../live/live-store.ts";
import { JsonView } from "./json-view.tsx";

const SHOWN = 12;
const RENDER_MS = 500;

interface Seen {
  readonly messages: readonly PeekedMessage[];
  /** One of so many is shown. */
  readonly ratio: number;
}

const placeOf = ({ pos, ord }: PeekedMessage): string => `${pos}/${ord}`;

/** A connection starts with what crossed last, which this page may know already. */
function distinct(messages: readonly PeekedMessage[]): readonly PeekedMessage[] {
  return [...new Map([...messages].reverse().map((message) => [placeOf(message), message])).values()].reverse();
}

/** The newest messages of an edge, a sample that says so. Freezing holds the view; nothing is lost by it. */
export function Peek({ graph, edge }: { readonly graph: string; readonly edge: string }): ReactElement {
  const [seen, setSeen] = useState<Seen>({ messages: [], ratio: 1 });
  const [isFrozen, setIsFrozen] = useState(false);
  const [newer, setNewer] = useState(0);
  const frozen = useRef(isFrozen);
  frozen.current = isFrozen;
  useEffect(() => {
    let kept: readonly PeekedMessage[] = [];
    let ratio = 1;
    let renderedMs = 0;
    let later: ReturnType<typeof setTimeout> | undefined;
    const show = (): void => {
      later = undefined;
      if (frozen.current) return;
      renderedMs = performance.now();
      setSeen({ messages: kept, ratio });
      setNewer(0);
    };
    const take = (): void => {
      const peek = live.peek;
      if (!peek || peek.graph !== graph || peek.edge !== edge) return;
      kept = distinct([...peek.messages, ...kept]).slice(0, SHOWN);
      ratio = peek.messages.length === 0 ? 1 : peek.crossed / peek.messages.length;
      if (frozen.current) setNewer((before) => before + peek.crossed);
      // What comes sooner is shown then, though nothing may come after it.
      else later ??= setTimeout(show, Math.max(0, renderedMs + RENDER_MS - performance.now()));
    };
    take();
    const leave = live.on("peek", take);
    return () => {
      leave();
      clearTimeout(later);
    };
  }, [graph, edge]);
  return (
    <section className="peek">
      <div className="peek-head">
        <h3>Newest</h3>
        <span className="num">
          {seen.ratio > 1.05 ? `sampled 1 : ${short(seen.ratio)}` : seen.messages.length > 0 ? "every message" : ""}
        </span>
        <button type="button" className="button" aria-pressed={isFrozen} onClick={() => setIsFrozen(!isFrozen)}>
          {isFrozen ? `Go on · ${short(newer)} newer` : "Freeze"}
        </button>
      </div>
      {seen.messages.length === 0 && <p className="side-note">Nothing has crossed this edge yet.</p>}
      <ol className="messages">
        {seen.messages.map((message) => (
          <li key={placeOf(message)} className="message">
            <small className="num">
              {clockMs(message.atMs)} · pos {count(message.pos)}
              {message.ord > 0 ? `.${message.ord}` : ""}
            </small>
            <JsonView value={message.value} />
          </li>
        ))}
      </ol>
    </section>
  );
}
