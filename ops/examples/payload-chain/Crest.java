import dev.millrace.calculator.Calculator;
import dev.millrace.calculator.Context;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/** How far the highest peak of a signal stands out of its effective value, over its samples in place. */
public class Crest extends Calculator<Map<String, Object>> {
  @Override
  public Object calculate(Map<String, Object> row, Context context) throws Exception {
    ByteBuffer bytes = context.open(row.get("signal")).bytes();
    int start = 10 + (bytes.get(8) & 0xff) + ((bytes.get(9) & 0xff) << 8);
    DoubleBuffer samples = bytes.position(start).slice().order(ByteOrder.LITTLE_ENDIAN).asDoubleBuffer();
    double peak = 0;
    for (int i = 0; i < samples.limit(); i++) peak = Math.max(peak, Math.abs(samples.get(i)));
    double energy = ((Number) row.get("energy")).doubleValue();
    Map<String, Object> graded = new LinkedHashMap<>(row);
    graded.put("peak", peak);
    graded.put("crest", peak / Math.sqrt(energy / samples.limit()));
    return graded;
  }
}
