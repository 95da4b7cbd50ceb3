/** Where things stand on the plane, and which of them an edge joins. */

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** By their places in the list of nodes. */
export interface NodePair {
  readonly from: number;
  readonly to: number;
}
