import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.lmdbjava.CursorIterable;
import org.lmdbjava.Dbi;
import org.lmdbjava.Env;
import org.lmdbjava.EnvFlags;
import org.lmdbjava.Meta;
import org.lmdbjava.Txn;

/** The same as lmdb-reader.c with lmdbjava. Argument: data file. */
public final class LmdbReader {
  private static final int HEADER = 48;
  private static final int MAGIC = 0x47444f4c;
  /** Beyond what the file may grow to: only pages that are there are touched. */
  private static final long MAP_BYTES = 4L << 30;

  public static void main(String[] args) throws Exception {
    EnvFlags[] flags = {EnvFlags.MDB_NOSUBDIR, EnvFlags.MDB_RDONLY_ENV};
    try (Env<ByteBuffer> env = Env.create().setMapSize(MAP_BYTES).open(new File(args[0]), flags)) {
      Meta.Version version = Meta.version();
      System.out.println(version.major + "." + version.minor + "." + version.patch);
      Dbi<ByteBuffer> dbi = env.openDbi((String) null);
      long records = 0;
      long wrong = 0;
      long last = 0;
      for (boolean ends = false; !ends; ) {
        ends = System.in.available() > 0;
        last = 0;
        try (Txn<ByteBuffer> transaction = env.txnRead(); CursorIterable<ByteBuffer> all = dbi.iterate(transaction)) {
          for (CursorIterable.KeyVal<ByteBuffer> record : all) {
            last++;
            if (!isRight(record.key(), record.val().order(ByteOrder.LITTLE_ENDIAN))) wrong++;
          }
        }
        records += last;
        System.out.print('.');
        System.out.flush();
      }
      System.out.println("records " + records + " wrong " + wrong + " last " + last);
    }
  }

  /** The key is the id, big endian; the header says it again; a payload is one byte over and over. */
  private static boolean isRight(ByteBuffer key, ByteBuffer record) {
    long length = record.getLong(16);
    if (record.getInt(0) != MAGIC || record.getLong(8) != key.order(ByteOrder.BIG_ENDIAN).getLong(0)) return false;
    if (length + HEADER > record.capacity()) return false;
    for (int at = HEADER; at < HEADER + length; at++) if (record.get(at) != record.get(HEADER)) return false;
    return true;
  }
}
