/** What a projection is, and the names of its streams, as EventStoreDB names them. */
export type ProjectionMode = "Continuous" | "OneTime" | "Transient";

export interface ProjectionDefinition {
  readonly name: string;
  readonly query: string;
  readonly mode: ProjectionMode;
  readonly emitEnabled: boolean;
  /** Whether the streams that it writes to are remembered, so that they can be deleted with it. */
  readonly trackEmittedStreams: boolean;
  readonly isEnabled: boolean;
  /** True for a one-time projection that has reached its end, and is not begun again by a restart. */
  readonly isCompleted?: boolean;
  /** Changes when everything begins anew; checkpoints of another one are not this projection's. */
  readonly epoch: number;
  /** Counts changes of the definition. */
  readonly version: number;
}

export const PROJECTION_STREAMS = "$projections-";

/** Of the system's own: clients read them and do not write to them. */
export function isProjectionState(stream: string): boolean {
  return stream.startsWith(PROJECTION_STREAMS);
}

export function checkpointStream(name: string): string {
  return `${PROJECTION_STREAMS}${name}-checkpoint`;
}

export function emittedStream(name: string): string {
  return `${PROJECTION_STREAMS}${name}-emittedstreams`;
}

/** Where results go unless the script names a stream. */
export function resultStream(name: string, partition: string): string {
  return partition === "" ? `${PROJECTION_STREAMS}${name}-result` : `${PROJECTION_STREAMS}${name}-${partition}-result`;
}

export function projectionPrincipal(name: string): string {
  return `projection:${name}`;
}
