import dev.millrace.calculator.Calculator;
import dev.millrace.calculator.Context;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a deviation means. */
public class Graded extends Calculator<Map<String, Object>> {
  private static final double WARM = 1.0;
  private static final double HOT = 5.0;

  @Override
  public Object calculate(Map<String, Object> row, Context context) {
    double deviation = Math.abs(((Number) row.get("deviation")).doubleValue());
    Map<String, Object> graded = new LinkedHashMap<>(row);
    graded.put("grade", deviation >= HOT ? "alarm" : deviation >= WARM ? "watch" : "normal");
    return graded;
  }
}
