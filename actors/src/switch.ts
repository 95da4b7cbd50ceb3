/** Sends each message to the port of the first case whose expression is `true`, else to `otherwise`. */
import type { Batch, MessageFailure, PureBehavior, PureOutput } from "@millrace/engine";
import { actorError } from "./errors.ts";
import type { Expression } from "./expression.ts";
import { distinctFailures } from "./survivors.ts";

export interface SwitchCase {
  readonly port: string;
  readonly when: Expression;
}

export interface SwitchOptions {
  /** Tried in order. Several cases may share a port. */
  readonly cases: readonly SwitchCase[];
  /** Port for messages that match no case. Absent: they are rejected (`SWITCH-UNMATCHED`). */
  readonly otherwise?: string;
}

const UNDECIDED = 0xffff;
const FAILED = 0xfffe;

export function switchTo({ cases, otherwise }: SwitchOptions): PureBehavior {
  const ports = [...new Set([...cases.map((c) => c.port), ...(otherwise === undefined ? [] : [otherwise])])];
  return {
    kind: "pure",
    ports,
    transform(batch) {
      const choice = new Uint16Array(batch.n).fill(UNDECIDED);
      const failures: MessageFailure[] = [];
      for (const { port, when } of cases) decide(batch, when, ports.indexOf(port), choice, failures);
      for (let i = 0; i < batch.n; i++) {
        if (choice[i] !== UNDECIDED) continue;
        if (otherwise !== undefined) choice[i] = ports.indexOf(otherwise);
        else failures.push({ index: i, error: actorError("SWITCH-UNMATCHED", "the message matches no case") });
      }
      return { outputs: ports.map((_, port) => chosen(batch, choice, port)), failures: distinctFailures(failures) };
    },
  };
}

/** A message that an earlier case has taken is not lost by a later case that fails on it. */
function decide(batch: Batch, when: Expression, port: number, choice: Uint16Array, failures: MessageFailure[]): void {
  const result = when.predicate(batch);
  for (const i of result.selected) if (choice[i] === UNDECIDED) choice[i] = port;
  for (const failure of result.failures) {
    if (choice[failure.index] !== UNDECIDED) continue;
    choice[failure.index] = FAILED;
    failures.push(failure);
  }
}

function chosen(batch: Batch, choice: Uint16Array, port: number): PureOutput {
  const indices = new Uint32Array(batch.n);
  let n = 0;
  for (let i = 0; i < batch.n; i++) if (choice[i] === port) indices[n++] = i;
  const sources = indices.slice(0, n);
  return { batch: n === batch.n ? batch : batch.select(sources), sources: n === batch.n ? null : sources };
}
