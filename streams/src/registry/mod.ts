/** Schema registries: messages whose schema is registered, as rows and from rows. Every export is listed by name. */
export { registryError } from "./errors.ts";
export {
  RegistryClient,
  type RegistryOptions,
  type SchemaDraft,
  type SchemaReference,
} from "./registry-client.ts";
export { registryDecoder } from "./registry-decoder.ts";
export { type RegistryTarget, registryEncoder } from "./registry-encoder.ts";
export type { SchemaType } from "./schema-codec.ts";
