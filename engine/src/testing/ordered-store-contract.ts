/**
 * What every `OrderedStore` must do. An implementation's test calls {@link orderedStoreContract} and adds only what is
 * peculiar to it.
 */
import { describe } from "vitest";
import type { MakeOrderedStore } from "./ordered-store/harness.ts";
import { storeModelContract } from "./ordered-store/model-contract.ts";
import { storeReadContract } from "./ordered-store/read-contract.ts";
import { transactionContract } from "./ordered-store/transaction-contract.ts";

/** `make` opens an empty store on fresh storage; it is called once per test. */
export function orderedStoreContract(name: string, make: MakeOrderedStore): void {
  describe(`${name} is an ordered store`, () => {
    storeReadContract(make);
    transactionContract(make);
    storeModelContract(make);
  });
}
