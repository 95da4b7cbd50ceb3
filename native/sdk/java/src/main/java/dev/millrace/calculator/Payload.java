package dev.millrace.calculator;

import java.nio.ByteBuffer;

/**
 * A payload that a row names, while the row is calculated.
 *
 * @param bytes read-only and in place, from position 0 to the limit
 */
public record Payload(ByteBuffer bytes, String format) {}
