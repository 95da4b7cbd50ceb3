/**
 * Least-squares placement on a line: every item gets as near to its wish as order and distances allow. This is isotonic
 * regression by pooling adjacent violators (Ayer et al., 1955).
 *
 * @param wishes wished centres, in order
 * @param gaps least distance of item `i` to item `i + 1`, centre to centre
 */
export function spread(wishes: readonly number[], gaps: readonly number[]): number[] {
  const offsets = [0];
  for (let i = 1; i < wishes.length; i++) offsets.push((offsets[i - 1] as number) + (gaps[i - 1] ?? 0));
  const pools: { sum: number; size: number }[] = [];
  wishes.forEach((wish, index) => {
    let pool = { sum: wish - (offsets[index] as number), size: 1 };
    for (let last = pools.at(-1); last && last.sum / last.size > pool.sum / pool.size; last = pools.at(-1)) {
      pool = { sum: pool.sum + last.sum, size: pool.size + last.size };
      pools.pop();
    }
    pools.push(pool);
  });
  const means = pools.flatMap(({ sum, size }) => new Array<number>(size).fill(sum / size));
  return means.map((mean, index) => mean + (offsets[index] as number));
}
