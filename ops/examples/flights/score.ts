/** How bad an hour at an airport was, from 0 to 100: long delays count, and so does how many flights had them. */
interface Hour {
  readonly origin: string;
  readonly window_start: string;
  readonly window_end: string;
  readonly flights: number;
  readonly mean_delay: number;
  readonly worst: number;
}

export const pure = true;

export default function score(hour: Hour): Hour & { readonly score: number } {
  return { ...hour, score: Math.min(100, hour.mean_delay * 0.5 + hour.worst * 0.1 + hour.flights) };
}
