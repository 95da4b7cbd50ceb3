import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Maps payloads past LMDB, through the entry table, as a worker does. Arguments: data file, control file. */
public final class PayloadReader {
  private static final int PAGE = 4096;
  private static final int ENTRY = 64;
  private static final int HEADER = 48;
  private static final int LIVE = 2;

  public static void main(String[] args) throws Exception {
    try (FileChannel data = open(args[0]); FileChannel control = open(args[1])) {
      ByteBuffer table = control.map(MapMode.READ_ONLY, PAGE, control.size() - PAGE).order(ByteOrder.LITTLE_ENDIAN);
      int mapped = 0;
      int wrong = 0;
      for (int at = 0; at < table.capacity(); at += ENTRY) {
        long word = table.getLong(at);
        if ((word & 15) != LIVE) continue;
        mapped++;
        if (!isRight(data, word >>> 4, table.getLong(at + 8), table.getLong(at + 16))) wrong++;
      }
      System.out.println("mapped " + mapped + " wrong " + wrong);
    }
  }

  private static FileChannel open(String path) throws Exception {
    return FileChannel.open(Path.of(path), StandardOpenOption.READ);
  }

  /** The header says id and length again; a payload is one byte over and over. */
  private static boolean isRight(FileChannel data, long id, long offset, long length) throws Exception {
    MappedByteBuffer record = data.map(MapMode.READ_ONLY, offset, HEADER + length);
    record.order(ByteOrder.LITTLE_ENDIAN);
    byte[] magic = new byte[4];
    record.get(0, magic);
    boolean right = new String(magic, StandardCharsets.US_ASCII).equals("LODG");
    right &= record.getLong(8) == id && record.getLong(16) == length;
    for (int at = HEADER; at < HEADER + length; at++) right &= record.get(at) == record.get(HEADER);
    return right;
  }
}
