package dev.millrace.calculator;

import java.io.IOException;

/** A payload that does not open. */
public final class PayloadException extends IOException {
  private static final long serialVersionUID = 1L;

  private final String code;

  PayloadException(String code, String message) {
    super(message);
    this.code = code;
  }

  /** The dead letter's: PAYLOAD-VALUE or PAYLOAD-MISSING. */
  public String code() {
    return code;
  }
}
