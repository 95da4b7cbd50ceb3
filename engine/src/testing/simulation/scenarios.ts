import type { Scenario } from "./scenario.ts";
import { branch } from "./scenarios/branch.ts";
import { chain } from "./scenarios/chain.ts";
import { diamond } from "./scenarios/diamond.ts";
import { disciplines } from "./scenarios/disciplines.ts";
import { expansions } from "./scenarios/expansions.ts";
import { fanIn } from "./scenarios/fan-in.ts";
import { feedback } from "./scenarios/feedback.ts";
import { fullMailbox } from "./scenarios/full-mailbox.ts";
import { idlePartitions } from "./scenarios/idle-partitions.ts";
import { joins } from "./scenarios/joins.ts";
import { lateRecords } from "./scenarios/late-records.ts";
import { lossyOverflow } from "./scenarios/lossy-overflow.ts";
import { lostTail } from "./scenarios/lost-tail.ts";
import { poison } from "./scenarios/poison.ts";
import { relaxedDurability } from "./scenarios/relaxed-durability.ts";
import { revisionChange } from "./scenarios/revision-change.ts";
import { sinkKinds } from "./scenarios/sink-kinds.ts";
import { sparseFilter } from "./scenarios/sparse-filter.ts";
import { statefulChain } from "./scenarios/stateful-chain.ts";
import { takenOnce } from "./scenarios/taken-once.ts";
import { timers } from "./scenarios/timers.ts";
import { transientFailures } from "./scenarios/transient-failures.ts";
import { twoLogs } from "./scenarios/two-logs.ts";
import { undeterminedNode } from "./scenarios/undetermined-node.ts";
import { unknownAppends } from "./scenarios/unknown-appends.ts";

/** Every scenario of step-protocol §10, by its first number. */
export const SCENARIOS: readonly Scenario[] = [
  chain,
  expansions,
  sparseFilter,
  diamond,
  fanIn,
  branch,
  statefulChain,
  undeterminedNode,
  joins,
  timers,
  feedback,
  idlePartitions,
  lateRecords,
  takenOnce,
  poison,
  transientFailures,
  revisionChange,
  lostTail,
  fullMailbox,
  relaxedDurability,
  twoLogs,
  unknownAppends,
  sinkKinds,
  lossyOverflow,
  disciplines,
];
