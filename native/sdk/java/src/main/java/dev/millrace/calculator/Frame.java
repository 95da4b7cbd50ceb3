package dev.millrace.calculator;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;

/** A frame of the protocol {@code abacus/1}, see PROTOCOL.md: u32 length, little-endian; a byte for the type; a msgpack map. */
record Frame(String name, Map<String, Object> body) {
  static final String PROTOCOL = "abacus/1";
  static final int BYTES_MAX = 16 * 1024 * 1024;
  private static final int HEAD_BYTES = 5;
  private static final List<String> NAMES =
      List.of(
          "hello", "welcome", "ready", "refused", "credit", "batch", "result", "cancel", "snapshot", "state", "restore", "ping",
          "pong", "drain", "bye");

  byte[] encode() {
    byte[] packed = MessagePack.pack(body);
    ByteBuffer bytes = ByteBuffer.allocate(HEAD_BYTES + packed.length).order(ByteOrder.LITTLE_ENDIAN);
    return bytes.putInt(packed.length + 1).put((byte) (NAMES.indexOf(name) + 1)).put(packed).array();
  }

  /**
   * Takes the next frame from bytes that have arrived; null when it is not whole yet.
   *
   * @throws IllegalArgumentException the bytes are no frame
   */
  @SuppressWarnings("unchecked")
  static Frame take(ByteBuffer bytes) {
    if (bytes.remaining() < HEAD_BYTES) return null;
    int at = bytes.position();
    long length = bytes.order(ByteOrder.LITTLE_ENDIAN).getInt(at) & 0xffff_ffffL;
    if (length < 1 || length > BYTES_MAX) throw new IllegalArgumentException("a frame of " + length + " bytes");
    int code = bytes.get(at + 4) & 0xff;
    if (code < 1 || code > NAMES.size()) throw new IllegalArgumentException("a frame of type " + code);
    if (bytes.remaining() < 4 + length) return null;
    byte[] body = new byte[(int) length - 1];
    bytes.position(at + HEAD_BYTES).get(body);
    if (!(MessagePack.unpack(body) instanceof Map<?, ?> map)) throw new IllegalArgumentException("a frame without a map");
    return new Frame(NAMES.get(code - 1), (Map<String, Object>) map);
  }
}
