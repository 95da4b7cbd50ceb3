import dev.millrace.calculator.Calculator;
import dev.millrace.calculator.Context;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a calculator of a few lines does with a row. */
public class Score extends Calculator<Map<String, Object>> {
  @Override
  public Object calculate(Map<String, Object> row, Context context) {
    long delay = ((Number) row.get("delay")).longValue();
    Map<String, Object> scored = new LinkedHashMap<>(row);
    scored.put("score", delay * 2);
    scored.put("late", delay > 15);
    return scored;
  }
}
