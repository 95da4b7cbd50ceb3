package dev.millrace.calculator;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Base64;
import java.util.Map;

/** The payloads of a batch: large values whose bytes lie in a file of the host, where they are read without a copy. */
public final class Payloads {
  static final String KEY = "$payload";

  private final Map<?, ?> places;
  private long opens;

  Payloads(Object places) {
    this.places = places instanceof Map<?, ?> map ? map : Map.of();
  }

  Payload open(Object value) throws IOException {
    if (!(value instanceof Map<?, ?> map && map.get(KEY) instanceof Map<?, ?> body))
      throw new PayloadException("PAYLOAD-VALUE", "the value that was to be opened is no payload");
    if (body.get("base64") instanceof String text)
      return new Payload(ByteBuffer.wrap(Base64.getDecoder().decode(text)).asReadOnlyBuffer(), (String) body.get("format"));
    if (!(places.get(body.get("sha256")) instanceof Map<?, ?> place))
      throw new PayloadException("PAYLOAD-VALUE", "only payloads of the row can be opened");
    try (FileChannel file = FileChannel.open(Path.of((String) place.get("path")), StandardOpenOption.READ)) {
      long offset = ((Number) place.get("offset")).longValue();
      long length = ((Number) place.get("length")).longValue();
      // To read behind the end of a file that is mapped is a fault.
      if (file.size() < offset + length)
        throw new PayloadException("PAYLOAD-MISSING", place.get("path") + " ends before the payload does");
      opens++;
      return new Payload(file.map(FileChannel.MapMode.READ_ONLY, offset, length), (String) place.get("format"));
    }
  }

  /** How many were opened since it was last asked. */
  long takeOpens() {
    long taken = opens;
    opens = 0;
    return taken;
  }
}
