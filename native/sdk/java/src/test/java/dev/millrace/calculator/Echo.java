package dev.millrace.calculator;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;

/** Reads a frame in hexadecimal digits from each line and writes it again, or `refused`: how the golden vectors reach this SDK. */
final class Echo {
  private Echo() {}

  public static void main(String[] args) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      try {
        ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(line));
        Frame frame = Frame.take(bytes);
        System.out.println(frame == null || bytes.hasRemaining() ? "not one frame" : HexFormat.of().formatHex(frame.encode()));
      } catch (IllegalArgumentException refused) {
        System.out.println("refused");
      }
    }
  }
}
