/** `ServerFeatures/GetSupportedMethods`: what clients ask before they use what older servers lack. */
import type { GrpcMethod } from "./endpoint-context.ts";
import { WireWriter } from "./wire-writer.ts";

/** The version of EventStoreDB whose protocol this is; clients compare it. */
const PROTOCOL_VERSION = "23.10.0";

/** Features by method, beside being there at all. */
const FEATURES: Readonly<Record<string, readonly string[]>> = {
  "/event_store.client.streams.Streams/Read": ["position", "events"],
  "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Create": ["stream", "all"],
  "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Update": ["stream", "all"],
  "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Delete": ["stream", "all"],
  "/event_store.client.projections.Projections/Create": ["track_emitted_streams"],
  "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Read": ["stream", "all"],
  "/event_store.client.persistent_subscriptions.PersistentSubscriptions/GetInfo": ["stream", "all"],
  "/event_store.client.persistent_subscriptions.PersistentSubscriptions/ReplayParked": ["stream", "all"],
  "/event_store.client.persistent_subscriptions.PersistentSubscriptions/List": ["stream", "all"],
};

/** Answers with the methods at these paths, in the lower case that EventStoreDB uses. */
export function supportedMethods(paths: () => readonly string[]): GrpcMethod {
  return async (call) => {
    await call.message();
    const writer = new WireWriter();
    for (const path of paths()) {
      const [service = "", method = ""] = path.slice(1).toLowerCase().split("/");
      writer.message(1, (supported) => {
        supported.text(1, method).text(2, service);
        for (const feature of FEATURES[path] ?? []) supported.text(3, feature);
      });
    }
    await call.send(writer.text(2, PROTOCOL_VERSION).finish());
  };
}
