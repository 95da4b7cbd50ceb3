const HIDDEN = "***";

/** The text with stars for each of the secrets, also where one is written as a part of an address. */
export function hidden(text: string, secrets: readonly string[]): string {
  // One that is a part of another would leave the rest of that in sight.
  const longestFirst = secrets.filter((secret) => secret !== "").sort((a, b) => b.length - a.length);
  return longestFirst.reduce(
    (shown, secret) => shown.replaceAll(secret, HIDDEN).replaceAll(encodeURIComponent(secret), HIDDEN),
    text,
  );
}
