import { orderedStoreContract } from "@millrace/engine/testing";
import { memoryOrderedStore } from "./memory-ordered-store.ts";

orderedStoreContract("the memory store", async () => {
  const store = memoryOrderedStore();
  return { store, destroy: () => store.close() };
});
