/** What the inspector shows: a node, an edge, or the graph itself. */
export type Selection = { readonly node?: string; readonly edge?: string };
