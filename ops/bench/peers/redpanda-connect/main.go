// The graph of the bench in Redpanda Connect: topic, parse, filter, map, topic. Its core, Benthos, is under the MIT licence; its own
// connectors are not all free, so topics are read and written here by franz-go, the client that it uses.
//
// connect BROKERS TOPIC-TO-READ TOPIC-TO-WRITE
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

const batchMax = 1024

const pipeline = `
input:
  franz: { brokers: "%[1]s", topic: "%[2]s", group: "connect-%[3]s" }
pipeline:
  processors:
    - mapping: |
        root = if this.qty < 50 { deleted() } else { this.assign({"value": this.price * this.qty}) }
output:
  franz: { brokers: "%[1]s", topic: "%[3]s" }
logger: { level: ERROR }
`

func spec() *service.ConfigSpec {
	return service.NewConfigSpec().Field(service.NewStringField("brokers")).Field(service.NewStringField("topic"))
}

type topic struct {
	brokers, name string
	client        *kgo.Client
}

func topicOf(conf *service.ParsedConfig) (*topic, error) {
	brokers, err := conf.FieldString("brokers")
	name, also := conf.FieldString("topic")
	return &topic{brokers: brokers, name: name}, errors.Join(err, also)
}

func (t *topic) open(options ...kgo.Opt) (err error) {
	t.client, err = kgo.NewClient(append(options, kgo.SeedBrokers(t.brokers))...)
	return err
}

func (t *topic) Close(context.Context) error {
	if t.client != nil {
		t.client.Close()
	}
	return nil
}

// A group of its own for each run: the one before was killed, and had committed what it had read.
type reader struct {
	*topic
	group string
}

func (r reader) Connect(context.Context) error {
	return r.open(
		kgo.ConsumeTopics(r.name),
		kgo.ConsumerGroup(r.group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(),
	)
}

// Offsets are committed of what the output has acknowledged.
func (r reader) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	fetches := r.client.PollRecords(ctx, batchMax)
	if err := fetches.Err(); err != nil {
		return nil, nil, err
	}
	records := fetches.Records()
	batch := make(service.MessageBatch, 0, len(records))
	for _, record := range records {
		message := service.NewMessage(record.Value)
		message.MetaSetMut("key", string(record.Key))
		batch = append(batch, message)
	}
	return batch, func(_ context.Context, failed error) error {
		if failed == nil {
			r.client.MarkCommitRecords(records...)
		}
		return nil
	}, nil
}

type writer struct{ *topic }

func (w writer) Connect(context.Context) error {
	// As the other engines of the bench write.
	return w.open(kgo.DefaultProduceTopic(w.name), kgo.ProducerBatchCompression(kgo.NoCompression()))
}

func (w writer) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	records := make([]*kgo.Record, 0, len(batch))
	for _, message := range batch {
		value, err := message.AsBytes()
		if err != nil {
			return err
		}
		key, _ := message.MetaGet("key")
		records = append(records, &kgo.Record{Key: []byte(key), Value: value})
	}
	return w.client.ProduceSync(ctx, records...).FirstErr()
}

func register() error {
	grouped := spec().Field(service.NewStringField("group"))
	input := service.RegisterBatchInput("franz", grouped,
		func(conf *service.ParsedConfig, _ *service.Resources) (service.BatchInput, error) {
			opened, err := topicOf(conf)
			group, also := conf.FieldString("group")
			return service.AutoRetryNacksBatched(reader{opened, group}), errors.Join(err, also)
		})
	output := service.RegisterBatchOutput("franz", spec(),
		func(conf *service.ParsedConfig, _ *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
			opened, err := topicOf(conf)
			return writer{opened}, service.BatchPolicy{}, 10, err
		})
	return errors.Join(input, output)
}

func run(brokers, from, to string) error {
	if err := register(); err != nil {
		return err
	}
	builder := service.NewStreamBuilder()
	if err := builder.SetYAML(fmt.Sprintf(pipeline, brokers, from, to)); err != nil {
		return err
	}
	stream, err := builder.Build()
	if err != nil {
		return err
	}
	return stream.Run(context.Background())
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "connect BROKERS TOPIC-TO-READ TOPIC-TO-WRITE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
