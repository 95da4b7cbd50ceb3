/** Gives the messages of a part their event times: those that have none become dead letters, those behind the watermark are late. */
import { reportOf } from "../errors.ts";
import type { DeadItem } from "../frame/frame.ts";
import { comparePoints } from "../frame/point.ts";
import type { Sendable } from "./source-transmitter.ts";
import type { UntimedMessage, WatermarkGenerator } from "./watermark-generator.ts";

/** @param times of the part's messages, in ms; NaN for those without one */
export function timed(
  node: string,
  part: Omit<Sendable, "late">,
  times: Float64Array,
  generator: WatermarkGenerator,
): Sendable {
  const { late, untimed } = generator.pass(times, part.positions);
  if (untimed.length === 0) return { ...part, late };
  const bad = new Set(untimed.map(({ index }) => index));
  const good = Uint32Array.from(Array.from({ length: part.batch.n }, (_, i) => i).filter((i) => !bad.has(i)));
  const dead = [...part.dead, ...untimed.map((message) => deadOf(node, part, message))].sort(comparePoints);
  return { batch: part.batch.select(good), positions: part.positions.select(good), through: part.through, dead, late };
}

function deadOf(
  node: string,
  { batch, positions }: Omit<Sendable, "late">,
  { index, error }: UntimedMessage,
): DeadItem {
  const { pos, ord } = positions.point(index);
  return { pos, ord, node, attempts: 1, error: reportOf(error), input: batch.row(index) };
}
