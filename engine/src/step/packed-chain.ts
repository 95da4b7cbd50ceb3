/** The chain of a stream as bytes can hold it: in snapshots, which are caches, and in what a prune carries, which is truth. */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import type { Mark } from "../frame/frame.ts";
import { StepChain } from "./step-chain.ts";

type PackedHead = [number, number, number, number, number, boolean, number];
type PackedLane = [number, string, number, number, number, boolean, [number, number] | null, number, number];
export type PackedChain = [PackedHead, PackedLane[], [string, number][]];

export function packChain(chain: StepChain): readonly StateEvent[] {
  const lanes = [...chain.lanes.values()].map((l) => {
    const { watermark, idle, mark, anchor } = l.progress;
    return [
      l.number,
      l.name,
      l.cursor.pos,
      l.cursor.ord,
      watermark,
      idle,
      mark === null ? null : [mark.epoch, mark.n],
      anchor.pos,
      anchor.watermark,
    ];
  });
  const head = [
    chain.revision,
    chain.epoch,
    chain.at,
    chain.steps,
    chain.out.watermark,
    chain.out.idle,
    chain.watermark,
  ];
  return [head, lanes as StateEvent, [...chain.nextSeq]];
}

/** What {@link packChain} made. */
export function unpackChain([head, lanes, seqs]: PackedChain): StepChain {
  const chain = new StepChain();
  [chain.revision, chain.epoch, chain.at, chain.steps] = head;
  chain.out = { watermark: head[4], idle: head[5] };
  chain.watermark = head[6];
  for (const [number, name, pos, ord, watermark, idle, mark, anchorPos, anchorWatermark] of lanes) {
    const lane = chain.open({ lane: number, name });
    lane.cursor = { pos, ord };
    lane.progress = { watermark, idle, mark: markOf(mark), anchor: { pos: anchorPos, watermark: anchorWatermark } };
  }
  for (const [port, next] of seqs) chain.nextSeq.set(port, next);
  return chain;
}

function markOf(packed: readonly [number, number] | null): Mark | null {
  return packed === null ? null : { epoch: packed[0], n: packed[1] };
}
