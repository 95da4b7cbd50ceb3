/** What a `mem:` address names: a queue in the process, `mem:orders`. */
export interface MemAddress {
  readonly kind: "queue";
  readonly name: string;
}

const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,254}$/;

export function parseMemAddress(address: string): MemAddress | { readonly fault: string } {
  if (NAME.test(address)) return { kind: "queue", name: address };
  return { fault: "expected the name of a queue, of letters, digits and . _ -, as in mem:orders" };
}
