/**
 * Places many keys in partitions in one call. A kernel knows no messages, only texts, so that it can be written in another
 * language; every implementation gives the same partitions: murmur2 of a key's UTF-8, as clients of Kafka do.
 */
export interface PartitionKernel {
  /** Writes the partition of each key, below `partitions`, to the front of `into`, which has room for all. */
  place(keys: readonly string[], partitions: number, into: Int32Array): void;
}
