/** What failed for good, grouped by why and where; sent again one by one or all of a group, with a reason. */
import { type ReactElement, useState } from "react";
import { type DeadLetter, getJson, postJson } from "../api.ts";
import { clockMs, count, stamp } from "../format.ts";
import { JsonView } from "../parts/json-view.tsx";
import { Empty, Failure } from "../parts/notice.tsx";
import { ReasonDialog } from "../parts/reason-dialog.tsx";
import { useRequest } from "../parts/use-request.ts";
import { setQuery } from "../router.ts";

const LOADED = 500;

interface Page {
  readonly asOf: number;
  readonly rows: readonly DeadLetter[];
  readonly next: string | null;
}

interface Group {
  readonly key: string;
  readonly graph: string;
  readonly node: string;
  readonly code: string;
  readonly letters: readonly DeadLetter[];
}

export function DeadLettersPage({ query }: { readonly query: URLSearchParams }): ReactElement {
  const state = query.get("state") ?? "waiting";
  const address = `/api/v1/dlq?limit=${LOADED}&state=${encodeURIComponent(state)}`;
  const { value, failure, again } = useRequest(address, (signal) => getJson<Page>(address, signal), 2000);
  const [redriving, setRedriving] = useState<Group>();
  const groups = groupsOf(value?.rows ?? []);
  return (
    <main id="main" className="page">
      <div className="list-head">
        {value && (
          <span className="num faint">
            {count(value.rows.length)}
            {value.next === null ? "" : " newest"} · as of #{count(value.asOf)}
          </span>
        )}
        <span className="grow" />
        <label className="filter">
          State
          <select value={state} onChange={(event) => setQuery({ state: event.target.value })}>
            <option value="waiting">waiting</option>
            <option value="redriven">sent again</option>
            <option value="discarded">discarded</option>
          </select>
        </label>
      </div>
      {failure && <Failure failure={failure} />}
      {value && groups.length === 0 && value.next !== null && (
        <Empty title="None among the newest">
          <p>
            So many others are newer that the list ends before the first of these: <code>millrace dlq ls</code> looks
            through all.
          </p>
        </Empty>
      )}
      {value && groups.length === 0 && value.next === null && (
        <Empty title={state === "waiting" ? "No dead letters" : "None"}>
          <p>
            A message that fails each time comes here with its input, its error and its attempts; everything else flows
            on.
          </p>
        </Empty>
      )}
      {groups.map((group) => (
        <GroupSection key={group.key} group={group} onRedrive={setRedriving} />
      ))}
      {redriving && (
        <ReasonDialog
          title={`Send ${count(redriving.letters.length)} again`}
          effect={`They go through ${redriving.node} of ${redriving.graph} as new input, with positions of their own.`}
          verb="Send again"
          run={async (reason) => {
            const ids = redriving.letters.map(({ id }) => id);
            await postJson("/api/v1/dlq/redrive", { graph: redriving.graph, ids, reason });
            again();
          }}
          onClose={() => setRedriving(undefined)}
        />
      )}
    </main>
  );
}

function groupsOf(letters: readonly DeadLetter[]): readonly Group[] {
  const groups = new Map<string, DeadLetter[]>();
  for (const letter of letters) {
    const key = `${letter.error.code}\n${letter.graph}\n${letter.node}`;
    groups.set(key, [...(groups.get(key) ?? []), letter]);
  }
  return [...groups].map(([key, own]) => {
    const [code = "", graph = "", node = ""] = key.split("\n");
    return { key, code, graph, node, letters: own };
  });
}

const SHOWN = 20;

function GroupSection({
  group,
  onRedrive,
}: {
  readonly group: Group;
  readonly onRedrive: (group: Group) => void;
}): ReactElement {
  const { code, graph, node, letters } = group;
  const isWaiting = letters.some(({ state }) => state === "waiting");
  return (
    <section className="group">
      <header>
        <span className="group-count num">{count(letters.length)}</span>
        <h3>
          {code}
          <small className="group-place">
            {graph} · {node}
          </small>
        </h3>
        <span className="grow" />
        {isWaiting && (
          <button type="button" className="button" onClick={() => onRedrive(group)}>
            Send all again…
          </button>
        )}
      </header>
      <ul>
        {letters.slice(0, SHOWN).map((letter) => (
          <Letter key={letter.id} letter={letter} onRedrive={() => onRedrive({ ...group, letters: [letter] })} />
        ))}
      </ul>
      {letters.length > SHOWN && <p className="side-note">{count(letters.length - SHOWN)} more of the same.</p>}
    </section>
  );
}

function Letter({ letter, onRedrive }: { readonly letter: DeadLetter; readonly onRedrive: () => void }): ReactElement {
  const { error, input, lane, pos, ord, attempts, timeMs, position, state, id } = letter;
  return (
    <li>
      <details>
        <summary>
          <span className="num faint" title={stamp(timeMs)}>
            {clockMs(timeMs)}
          </span>
          <span className="letter-error">{error.message}</span>
          <span className="letter-input">
            <JsonView value={input} />
          </span>
        </summary>
        <div className="letter">
          <dl className="facts">
            <dt>Place</dt>
            <dd className="num">
              {lane} · pos {count(pos)}
              {ord > 0 ? `.${ord}` : ""}
            </dd>
            {error.place?.file !== undefined && (
              <>
                <dt>File</dt>
                <dd className="num" title={error.place.file}>
                  {[error.place.file, error.place.line, error.place.column]
                    .filter((part) => part !== undefined)
                    .join(":")}
                </dd>
              </>
            )}
            <dt>Recorded at</dt>
            <dd className="num">#{count(position)}</dd>
            <dt>Attempts</dt>
            <dd className="num">{attempts}</dd>
            <dt>Id</dt>
            <dd className="num" title={id}>
              {id}
            </dd>
          </dl>
          <div>
            <h4>Input</h4>
            <div className="message">
              <JsonView value={input} lines />
            </div>
            <h4>Error</h4>
            <div className="message">
              {error.code} ({error.kind}): {error.message}
              {error.causes?.map((cause) => (
                <p key={cause}>because {cause}</p>
              ))}
            </div>
            {state === "waiting" && (
              <button type="button" className="button" onClick={onRedrive}>
                Send again…
              </button>
            )}
          </div>
        </div>
      </details>
    </li>
  );
}
