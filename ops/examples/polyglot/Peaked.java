import dev.millrace.calculator.Calculator;
import dev.millrace.calculator.Context;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/** The pixel of a frame that differs most from its mean. */
public class Peaked extends Calculator<Map<String, Object>> {
  @Override
  public Object calculate(Map<String, Object> row, Context context) throws Exception {
    ByteBuffer bytes = context.open(row.get("frame")).bytes();
    int start = 10 + (bytes.get(8) & 0xff) + ((bytes.get(9) & 0xff) << 8);
    double mean = ((Number) row.get("mean")).doubleValue();
    double most = -1;
    int peak = 0;
    for (int at = start; at < bytes.limit(); at++) {
      int value = bytes.get(at) & 0xff;
      double distance = Math.abs(value - mean);
      if (distance <= most) continue;
      most = distance;
      peak = value;
    }
    Map<String, Object> peaked = new LinkedHashMap<>(row);
    peaked.put("peak", peak);
    peaked.put("bytes", bytes.limit());
    return peaked;
  }
}
