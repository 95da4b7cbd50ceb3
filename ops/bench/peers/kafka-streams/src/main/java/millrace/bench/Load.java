package millrace.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends the lines of a file, key and value with a tab between them, at a rate per second (0: as fast as it goes). Now and then it
 * prints which line it is at and what time it is, ms since 1970.
 *
 * <p>Arguments: brokers, topic, file, rate.
 */
public final class Load {
  private static final int SAID_EACH = 100;

  public static void main(String[] args) throws IOException {
    List<String> lines = Files.readAllLines(Path.of(args[2]));
    double rate = Double.parseDouble(args[3]);
    Properties settings = new Properties();
    settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(ProducerConfig.LINGER_MS_CONFIG, 2);
    settings.put(ProducerConfig.BATCH_SIZE_CONFIG, 64 * 1024);
    StringBuilder said = new StringBuilder();
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      long started = System.nanoTime();
      for (int i = 0; i < lines.size(); i++) {
        long due = rate == 0 ? started : started + (long) (i * 1e9 / rate);
        for (long left = due - System.nanoTime(); left > 0; left = due - System.nanoTime()) LockSupport.parkNanos(left);
        String line = lines.get(i);
        int tab = line.indexOf('\t');
        byte[] value = line.substring(tab + 1).getBytes(StandardCharsets.UTF_8);
        producer.send(new ProducerRecord<>(args[1], line.substring(0, tab).getBytes(StandardCharsets.UTF_8), value));
        if (i % SAID_EACH == 0) said.append(i).append(' ').append(System.currentTimeMillis()).append('\n');
      }
    }
    System.out.print(said);
  }
}
