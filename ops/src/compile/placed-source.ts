/**
 * A source whose partitions have to be asked of a broker before its graph can start: that the broker is away ends the start, and
 * what the person sees is the place of the address, which a connector does not know.
 */
import { MillraceError, type Place, type SourceConnector } from "@millrace/engine";

export function placedSource(source: SourceConnector, place: Place): SourceConnector {
  return {
    capabilities: source.capabilities,
    ...(source.connection === undefined ? {} : { connection: source.connection.bind(source) }),
    open: source.open.bind(source),
    async partitions() {
      try {
        return await source.partitions();
      } catch (thrown) {
        throw placedError(thrown, place);
      }
    },
  };
}

function placedError(thrown: unknown, place: Place): unknown {
  if (!(thrown instanceof MillraceError)) return thrown;
  const { code, kind, message, cause, details, retryAfterMs } = thrown;
  return new MillraceError(code, kind, message, {
    cause,
    place: { ...thrown.place, ...place },
    ...(details === undefined ? {} : { details }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
