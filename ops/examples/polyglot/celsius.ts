/** Readings in Celsius, whatever the sensor says; a reading without a value is dropped. */
interface Reading {
  readonly sensor: string;
  readonly value: number | null;
  readonly unit: "C" | "F";
}

export default ({ sensor, value, unit }: Reading) =>
  value === null ? undefined : { sensor, celsius: unit === "F" ? (value - 32) / 1.8 : value };
