import type { ReactElement } from "react";

/** Line icons on a 20 × 20 grid. */
const PATHS = {
  graphs:
    "M4 7.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6zM15.500 2.200a2.300 2.300 0 1 0 0 4.600 2.300 2.300 0 0 0 0-4.600zM15.500 13.200a2.300 2.300 0 1 0 0 4.600 2.300 2.300 0 0 0 0-4.600zM6.200 9l7-3.600M6.200 11l7 3.600",
  events: "M3 5h14M3 10h14M3 15h9",
  views: "M3 16V9M8 16V4M13 16v-6M18 16V7",
  dead: "M3 6l7 5 7-5M3 5h14v10H3z",
  host: "M3 4h14v5H3zM3 11h14v5H3zM6 6.500h.1M6 13.500h.1",
  table: "M3 4h14v12H3zM3 8h14M3 12h14M8 4v12",
  canvas: "M3 4h5v5H3zM12 11h5v5h-5zM8 6.500h3.500a2 2 0 0 1 2 2V11",
  close: "M5 5l10 10M15 5L5 15",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): ReactElement {
  return (
    <svg viewBox="0 0 20 20" className="icon" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** A mill wheel over water. */
export function Logo(): ReactElement {
  return (
    <svg viewBox="0 0 32 32" className="logo-mark" aria-hidden="true">
      <circle cx="16" cy="15" r="9.2" />
      <path d="M16 5.8v18.4M6.8 15h18.4M9.500 8.500l13 13M22.500 8.500l-13 13" />
      <path className="logo-water" d="M2 27c4-3 6-3 9.500 0s5.500 3 9.500 0 5.500-3 9 0" />
    </svg>
  );
}
