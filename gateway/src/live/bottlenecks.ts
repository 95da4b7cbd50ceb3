/** Ranks what holds a graph back: a red edge is no diagnosis, so each entry says the cause in one sentence. */
import type { Pressure } from "@millrace/engine";
import { type Bottleneck, isStuck, type LiveNode } from "./live-status.ts";

const LISTED_MAX = 5;
const SHARE_MIN = 0.2;

const percent = (share: number): string => `${Math.round(share * 100)} %`;

const SENTENCES: Readonly<Record<Pressure, (node: LiveNode) => string>> = {
  cpu: ({ busy }) => `CPU: computes ${percent(busy)} of its time`,
  sink: ({ blocked }) => `its target takes no more, held ${percent(blocked)} of its time`,
  source: () => "waits for its source",
  alignment: () => "holds inputs back that are ahead of another in event time",
  downstream: ({ blocked }) => `held by nodes downstream ${percent(blocked)} of its time`,
  none: ({ busy, fill }) =>
    busy >= fill ? `computes ${percent(busy)} of its time` : `its mailbox is ${percent(fill)} full`,
};

/** A node that only waits for those after it is a victim, so what blocks it counts against its share. */
function shareOf(node: LiveNode): number {
  if (isStuck(node.state)) return node.state === "parked" ? 1 : 0.95;
  if (node.pressure === "source") return 0;
  const load = Math.max(node.busy, node.fill);
  if (node.pressure === "sink") return Math.max(load, node.blocked);
  return node.pressure === "downstream" ? load * (1 - Math.min(1, node.blocked)) * 0.9 : load;
}

function describe(node: LiveNode, share: number): Bottleneck {
  if (isStuck(node.state))
    return { node: node.node, share, cause: node.state, sentence: node.reason || `is ${node.state}` };
  return { node: node.node, share, cause: node.pressure, sentence: SENTENCES[node.pressure](node) };
}

/** What does not run at all comes before what runs slowly. */
const rankOf = ({ cause, share }: Bottleneck): number =>
  cause === "parked" || cause === "backing-off" ? 1 + share : share;

/** At most five, the worst first. */
export function bottlenecksOf(nodes: readonly LiveNode[]): readonly Bottleneck[] {
  return nodes
    .map((node) => describe(node, Math.min(1, shareOf(node))))
    .filter(({ share }) => share >= SHARE_MIN)
    .sort((a, b) => rankOf(b) - rankOf(a) || (a.node < b.node ? -1 : 1))
    .slice(0, LISTED_MAX);
}
