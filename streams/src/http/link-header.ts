/**
 * The address of the next page in a `Link` header (RFC 8288): `<https://x/orders?page=2>; rel="next", <…>; rel="last"`. Commas and
 * semicolons may be in addresses and in quoted values, so the header cannot be split at them.
 */
const LINK = /<([^>]*)>((?:\s*;\s*[^\s=;,"]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)/g;
const REL = /;\s*rel\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))/i;

export function nextLink(header: string | undefined): string | undefined {
  for (const [, address, parameters = ""] of (header ?? "").matchAll(LINK)) {
    const [, quoted, plain] = REL.exec(parameters) ?? [];
    // A link may have several relations, with spaces between.
    const relations = (quoted ?? plain ?? "").toLowerCase().split(/\s+/);
    if (relations.includes("next")) return address;
  }
  return undefined;
}
