/** How bad an hour at an airport was, 0 to 100: mean delay counts most, the worst flight and the number of late flights a little. */

interface HourAtAirport {
  readonly flights: number;
  readonly mean_delay: number;
  readonly worst: number;
}

/** The score depends on nothing but the row, so Millrace may compute it again instead of logging it. */
export const pure = true;

export default function score<Row extends HourAtAirport>(row: Row): Row & { readonly score: number } {
  return { ...row, score: Math.min(100, row.mean_delay * 0.5 + row.worst * 0.1 + row.flights) };
}
