/** What a `custom:` address names: a module with a connector of one's own, and what it is told, `./stock.mjs?warehouse=7`. */
export interface CustomAddress {
  readonly kind: "module";
  readonly path: string;
  /** Whatever the address says; the module knows what they mean. */
  readonly options: ReadonlyMap<string, string>;
}

export function parseCustomAddress(address: string): CustomAddress | { readonly fault: string } {
  const at = address.indexOf("?");
  const path = at < 0 ? address : address.slice(0, at);
  if (!/\.m?js$/.test(path)) return { fault: "expected the path of a module, as in custom:./stock.mjs?warehouse=7" };
  return { kind: "module", path, options: new Map(new URLSearchParams(at < 0 ? "" : address.slice(at + 1))) };
}
