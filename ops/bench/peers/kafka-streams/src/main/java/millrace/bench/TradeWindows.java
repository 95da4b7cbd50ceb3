package millrace.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * The graph of the bench in Kafka Streams: topic, parse, filter, map, a window of ten seconds for each key, topic; exactly once, one
 * thread. The topic is keyed by symbol, so that nothing goes through a topic in between.
 *
 * <p>Arguments: brokers, topic to read, topic to write, folder for state.
 */
public final class TradeWindows {
  private static final Duration LENGTH = Duration.ofSeconds(10);
  private static final Duration GRACE = Duration.ofSeconds(2);
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final Serde<JsonNode> TRADES = Serdes.serdeFrom((topic, node) -> bytes(node), (topic, bytes) -> parse(bytes));
  private static final Serde<Totals> TOTALS = Serdes.serdeFrom((topic, totals) -> totals.pack(), (topic, bytes) -> Totals.unpack(bytes));

  /** What is kept of a window. */
  record Totals(long n, long sum, long low, long high) {
    static final Totals NONE = new Totals(0, 0, Long.MAX_VALUE, Long.MIN_VALUE);

    Totals with(Trade trade) {
      return new Totals(n + 1, sum + trade.value(), Math.min(low, trade.price()), Math.max(high, trade.price()));
    }

    byte[] pack() {
      return ByteBuffer.allocate(4 * Long.BYTES).putLong(n).putLong(sum).putLong(low).putLong(high).array();
    }

    static Totals unpack(byte[] bytes) {
      ByteBuffer from = ByteBuffer.wrap(bytes);
      return new Totals(from.getLong(), from.getLong(), from.getLong(), from.getLong());
    }
  }

  record Trade(long price, long value) {}

  record Row(String symbol, String window_start, long n, long sum, long low, long high) {}

  public static void main(String[] args) throws InterruptedException {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(
            args[1],
            Consumed.with(Serdes.String(), TRADES)
                .withTimestampExtractor((record, previous) -> Instant.parse(((JsonNode) record.value()).get("at").asText()).toEpochMilli()))
        .filter((symbol, trade) -> trade.get("qty").asLong() >= 50)
        .mapValues(trade -> new Trade(trade.get("price").asLong(), trade.get("price").asLong() * trade.get("qty").asLong()))
        .groupByKey(Grouped.keySerde(Serdes.String()))
        .windowedBy(TimeWindows.ofSizeAndGrace(LENGTH, GRACE))
        .emitStrategy(EmitStrategy.onWindowClose())
        .aggregate(() -> Totals.NONE, (symbol, trade, totals) -> totals.with(trade), Materialized.with(Serdes.String(), TOTALS))
        .toStream()
        .map((window, t) -> {
          String start = window.window().startTime().toString();
          return KeyValue.pair(window.key(), bytes(new Row(window.key(), start, t.n(), t.sum(), t.low(), t.high())));
        })
        .to(args[2], Produced.with(Serdes.String(), Serdes.ByteArray()));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings(args[0], args[2], args[3]));
    CountDownLatch ended = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(ended::countDown));
    streams.start();
    ended.await();
    streams.close(Duration.ofSeconds(5));
  }

  private static Properties settings(String brokers, String application, String state) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, state);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    // Windows leave when they close; by default the library looks once a second.
    settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0);
    settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    return settings;
  }

  private static JsonNode parse(byte[] bytes) {
    try {
      return JSON.readTree(bytes);
    } catch (IOException broken) {
      throw new UncheckedIOException(broken);
    }
  }

  private static byte[] bytes(Object value) {
    try {
      return JSON.writeValueAsBytes(value);
    } catch (IOException broken) {
      throw new UncheckedIOException(broken);
    }
  }
}
