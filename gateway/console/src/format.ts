/** Numbers and times as people read them at a glance. Digits are grouped by thin spaces. */
const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const count = (value: number): string => grouped.format(value).replaceAll(",", "\u202f");

/** A value of a row: whole numbers as they are, others with three decimals or, where these say little, three digits. */
export function number(value: number): string {
  if (Number.isInteger(value)) return count(value);
  return String(Math.abs(value) < 1 ? Number(value.toPrecision(3)) : Math.round(value * 1000) / 1000);
}

/** 412 k, 1.2 M, 86, 3.4 */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 999_500_000) return `${trim(value / 1e9)}\u202fG`;
  if (size >= 999_500) return `${trim(value / 1e6)}\u202fM`;
  if (size >= 9_950) return `${Math.round(value / 1000)}\u202fk`;
  if (size >= 1000) return `${trim(value / 1000)}\u202fk`;
  return size >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

const trim = (value: number): string =>
  Math.abs(value) >= 99.5 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");

export const rate = (perSecond: number): string => `${short(perSecond)}/s`;

export const percent = (share: number): string => `${Math.round(share * 100)}\u202f%`;

export function duration(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? trim(ms) : Math.round(ms)}\u202fms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${trim(seconds)}\u202fs`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}\u202fm ${Math.floor(seconds % 60)}\u202fs`;
  const hours = Math.floor(seconds / 3600);
  return hours < 48
    ? `${hours}\u202fh ${Math.floor((seconds % 3600) / 60)}\u202fm`
    : `${Math.floor(hours / 24)}\u202fd ${hours % 24}\u202fh`;
}

/** 14:52:07 in UTC, as everywhere in Millrace. */
export const clock = (ms: number): string => iso(ms).slice(11, 19);
export const clockMs = (ms: number): string => iso(ms).slice(11, 23);
/** 2001-02-11 14:00 */
export const minute = (ms: number | null): string => (ms === null ? "–" : iso(ms).slice(0, 16).replace("T", " "));
export const stamp = (ms: number): string => `${iso(ms).slice(0, 23).replace("T", " ")} UTC`;

function iso(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString();
}

export function bytes(value: number): string {
  if (value < 1024) return `${value}\u202fB`;
  const kilo = value / 1024;
  if (kilo < 1024) return `${trim(kilo)}\u202fkB`;
  return kilo < 1024 * 1024 ? `${trim(kilo / 1024)}\u202fMB` : `${trim(kilo / 1024 / 1024)}\u202fGB`;
}

/** The arrow that people expect between two nodes. */
export const arrow = (edge: string): string => edge.replace(" -> ", " → ");
