package dev.millrace.calculator;

import java.util.Set;

/** Bytes with a format, for a result. */
public record PayloadResult(byte[] bytes, String format) {
  private static final Set<String> FORMATS = Set.of("raw", "msgpack", "json", "npy", "arrow");

  public PayloadResult {
    if (!FORMATS.contains(format)) throw new IllegalArgumentException(format + " is no format of payloads");
  }
}
