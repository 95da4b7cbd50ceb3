/** Warnings of Node that tell whoever runs graphs nothing. */

/** Shows every warning as before, but those that are known. */
export function hideKnownWarnings(): void {
  const shown = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (!isKnownWarning(warning)) for (const show of shown) show.call(process, warning);
  });
}

/**
 * kafkajs 2.2 subtracts the present time from -1 and sets a timer for that. Node takes it as 1 ms, as it always did; from Node 24
 * on it says so, once in each process.
 */
export function isKnownWarning({ name, stack }: Error): boolean {
  return name === "TimeoutNegativeWarning" && stack?.includes("kafkajs") === true;
}
