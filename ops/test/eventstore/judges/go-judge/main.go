// An unmodified Go client against the endpoint at os.Args[1]. One JSON line per feature on stdout.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

type row struct {
	Feature string  `json:"feature"`
	Ok      bool    `json:"ok"`
	Absent  *string `json:"absent"`
	Why     string  `json:"why,omitempty"`
}

var client *kurrentdb.Client
var ctx = context.Background()

func main() {
	client = connect(os.Args[1])
	for _, one := range features {
		judge(one.name, one.run)
	}
	check(client.Close())
}

func judge(name string, run func()) {
	result := row{Feature: name, Ok: true}
	defer func() {
		if failure := recover(); failure != nil {
			result.Ok, result.Why = false, fmt.Sprint(failure)
		}
		line, _ := json.Marshal(result)
		fmt.Println(string(line))
	}()
	run()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		panic(fmt.Sprintf("got %v, wanted %v", got, want))
	}
}

func refused(code kurrentdb.ErrorCode, err error) {
	if err == nil {
		panic(fmt.Sprintf("error %d expected", code))
	}
	found, _ := kurrentdb.FromError(err)
	if found.Code() != code {
		panic(fmt.Sprintf("error %d expected, not %d: %v", code, found.Code(), err))
	}
}

func connect(hosts string) *kurrentdb.Client {
	config, err := kurrentdb.ParseConnectionString("kurrentdb://" + hosts + "?tls=false")
	check(err)
	config.Logger = kurrentdb.NoopLogging()
	made, err := kurrentdb.NewClient(config)
	check(err)
	return made
}

func fresh(prefix string) string { return prefix + "-" + uuid.NewString() }

func numbers(from, count int, kind string) []kurrentdb.EventData {
	events := make([]kurrentdb.EventData, count)
	for i := range events {
		data := fmt.Sprintf(`{"n":%d}`, from+i)
		events[i] = kurrentdb.EventData{EventType: kind, ContentType: kurrentdb.ContentTypeJson, Data: []byte(data)}
	}
	return events
}

func add(stream string, state kurrentdb.StreamState, events []kurrentdb.EventData) (*kurrentdb.WriteResult, error) {
	return client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{StreamState: state}, events...)
}

func number(event *kurrentdb.RecordedEvent) int {
	var data struct{ N int }
	check(json.Unmarshal(event.Data, &data))
	return data.N
}

// The numbers of a read, to its end.
func told(read *kurrentdb.ReadStream, err error) []int {
	check(err)
	defer read.Close()
	seen := []int{}
	for {
		one, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return seen
		}
		check(err)
		if one.Event == nil {
			seen = append(seen, -1)
		} else {
			seen = append(seen, number(one.Event))
		}
	}
}

func forwards(stream string, count uint64) []int {
	return told(client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{}, count))
}

func failing(stream string) error {
	read, err := client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{}, 10)
	check(err)
	defer read.Close()
	_, err = read.Recv()
	return err
}

// The numbers that come until there are that many.
func follow(subscription *kurrentdb.Subscription, count int) []int {
	seen := []int{}
	for len(seen) < count {
		one := subscription.Recv()
		if one.SubscriptionDropped != nil {
			panic(one.SubscriptionDropped.Error)
		}
		if one.EventAppeared != nil {
			seen = append(seen, number(one.EventAppeared.Event))
		}
	}
	return seen
}

var features = []struct {
	name string
	run  func()
}{
	{"append, read forwards and backwards", func() {
		stream := fresh("s")
		result, err := add(stream, kurrentdb.NoStream{}, numbers(0, 5, "Counted"))
		check(err)
		same(result.NextExpectedVersion, 4)
		same(forwards(stream, 100), []int{0, 1, 2, 3, 4})
		from := kurrentdb.ReadStreamOptions{From: kurrentdb.Revision(1)}
		same(told(client.ReadStream(ctx, stream, from, 2)), []int{1, 2})
		back := kurrentdb.ReadStreamOptions{Direction: kurrentdb.Backwards, From: kurrentdb.End{}}
		same(told(client.ReadStream(ctx, stream, back, 3)), []int{4, 3, 2})
	}},
	{"every expected revision", func() {
		stream := fresh("s")
		for _, state := range []kurrentdb.StreamState{kurrentdb.StreamExists{}, kurrentdb.Revision(3)} {
			_, err := add(stream, state, numbers(0, 1, "Counted"))
			refused(kurrentdb.ErrorCodeWrongExpectedVersion, err)
		}
		states := []kurrentdb.StreamState{
			kurrentdb.NoStream{}, kurrentdb.Revision(0), kurrentdb.StreamExists{}, kurrentdb.Any{},
		}
		for n, state := range states {
			_, err := add(stream, state, numbers(n, 1, "Counted"))
			check(err)
		}
		same(forwards(stream, 100), []int{0, 1, 2, 3})
	}},
	{"a retry writes nothing", func() {
		stream, events := fresh("s"), numbers(0, 3, "Counted")
		for i := range events {
			events[i].EventID = uuid.New()
		}
		first, err := add(stream, kurrentdb.NoStream{}, events)
		check(err)
		again, err := add(stream, kurrentdb.NoStream{}, events)
		check(err)
		same(again.CommitPosition, first.CommitPosition)
		same(forwards(stream, 100), []int{0, 1, 2})
	}},
	{"bytes come back as they were", func() {
		stream, id := fresh("bytes/ü"), uuid.New()
		data, metadata := []byte{0, 255, 1, 2}, []byte{9, 8, 0}
		_, err := add(stream, kurrentdb.Any{}, []kurrentdb.EventData{{
			EventID: id, EventType: "Raw/版", ContentType: kurrentdb.ContentTypeBinary, Data: data, Metadata: metadata,
		}})
		check(err)
		read, err := client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{}, 1)
		check(err)
		one, err := read.Recv()
		check(err)
		event := one.Event
		same([]any{event.EventID, event.EventType, event.StreamID}, []any{id, "Raw/版", stream})
		same([]any{event.Data, event.UserMetadata, event.ContentType}, []any{data, metadata, "application/octet-stream"})
		read.Close()
	}},
	{"read all, both ways", func() {
		result, err := add(fresh("s"), kurrentdb.Any{}, numbers(0, 3, "Counted"))
		check(err)
		at := kurrentdb.Position{Commit: result.CommitPosition - 2, Prepare: result.PreparePosition - 2}
		same(told(client.ReadAll(ctx, kurrentdb.ReadAllOptions{From: at}, 3)), []int{0, 1, 2})
		back := kurrentdb.ReadAllOptions{Direction: kurrentdb.Backwards, From: kurrentdb.End{}}
		same(told(client.ReadAll(ctx, back, 2)), []int{2, 1})
	}},
	{"subscribe to a stream", func() {
		stream := fresh("s")
		_, err := add(stream, kurrentdb.Any{}, numbers(0, 2, "Counted"))
		check(err)
		subscription, err := client.SubscribeToStream(ctx, stream, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}})
		check(err)
		defer subscription.Close()
		same(follow(subscription, 2), []int{0, 1})
		_, err = add(stream, kurrentdb.Any{}, numbers(2, 2, "Counted"))
		check(err)
		same(follow(subscription, 2), []int{2, 3})
	}},
	{"subscribe to all, by type prefix", func() {
		kind := fresh("Wanted")
		events := append(append(numbers(0, 1, kind), numbers(1, 200, "Counted")...), numbers(201, 1, kind)...)
		_, err := add(fresh("s"), kurrentdb.Any{}, events)
		check(err)
		subscription, err := client.SubscribeToAll(ctx, kurrentdb.SubscribeToAllOptions{
			From:   kurrentdb.Start{},
			Filter: &kurrentdb.SubscriptionFilter{Type: kurrentdb.EventFilterType, Prefixes: []string{kind}},
		})
		check(err)
		defer subscription.Close()
		same(follow(subscription, 2), []int{0, 201})
		_, err = add(fresh("s"), kurrentdb.Any{}, append(numbers(0, 5, "Counted"), numbers(9, 1, kind)...))
		check(err)
		same(follow(subscription, 1), []int{9})
	}},
	{"soft delete, and a new life", func() {
		stream := fresh("s")
		_, err := add(stream, kurrentdb.Any{}, numbers(0, 2, "Counted"))
		check(err)
		_, err = client.DeleteStream(ctx, stream, kurrentdb.DeleteStreamOptions{StreamState: kurrentdb.Revision(7)})
		// This client has no code of its own for the conflict of a deletion.
		refused(kurrentdb.ErrorCodeUnknown, err)
		_, err = client.DeleteStream(ctx, stream, kurrentdb.DeleteStreamOptions{StreamState: kurrentdb.Revision(1)})
		check(err)
		refused(kurrentdb.ErrorCodeResourceNotFound, failing(stream))
		_, err = add(stream, kurrentdb.NoStream{}, numbers(5, 1, "Counted"))
		check(err)
		same(forwards(stream, 100), []int{5})
	}},
	{"tombstone", func() {
		stream := fresh("s")
		_, err := add(stream, kurrentdb.Any{}, numbers(0, 1, "Counted"))
		check(err)
		_, err = client.TombstoneStream(ctx, stream, kurrentdb.TombstoneStreamOptions{StreamState: kurrentdb.Revision(0)})
		check(err)
		refused(kurrentdb.ErrorCodeStreamDeleted, failing(stream))
		_, err = add(stream, kurrentdb.Any{}, numbers(1, 1, "Counted"))
		refused(kurrentdb.ErrorCodeStreamDeleted, err)
	}},
	{"a missing stream", func() { refused(kurrentdb.ErrorCodeResourceNotFound, failing(fresh("s"))) }},
	{"gossip finds the leader", func() {
		cluster := connect(os.Args[1] + "," + os.Args[1])
		defer cluster.Close()
		stream := fresh("s")
		_, err := cluster.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{}, numbers(4, 1, "Counted")...)
		check(err)
		same(forwards(stream, 10), []int{4})
	}},
	{"events of graphs, as JSON", func() {
		read, err := client.ReadStream(ctx, "late-flights/by-airport", kurrentdb.ReadStreamOptions{}, 1)
		check(err)
		defer read.Close()
		one, err := read.Recv()
		check(err)
		same([]any{one.Event.EventType, string(one.Event.Data)}, []any{"GraphSaid", `{"hello":"graph"}`})
		_, err = add("late-flights/by-airport", kurrentdb.Any{}, numbers(0, 1, "Counted"))
		refused(kurrentdb.ErrorCodeAccessDenied, err)
	}},
	{"persistent subscription: ack, retry, skip, park, replay", func() {
		stream := fresh("s")
		options := kurrentdb.PersistentStreamSubscriptionOptions{StartFrom: kurrentdb.Start{}}
		check(client.CreatePersistentSubscription(ctx, stream, "group", options))
		refused(kurrentdb.ErrorCodeResourceAlreadyExists, client.CreatePersistentSubscription(ctx, stream, "group", options))
		_, err := add(stream, kurrentdb.Any{}, numbers(0, 4, "Counted"))
		check(err)
		subscription, err := client.SubscribeToPersistentSubscription(
			ctx, stream, "group", kurrentdb.SubscribeToPersistentSubscriptionOptions{})
		check(err)
		defer subscription.Close()
		seen := []string{}
		for len(seen) < 6 {
			received := subscription.Recv()
			if received.SubscriptionDropped != nil {
				panic(received.SubscriptionDropped.Error)
			}
			if received.EventAppeared == nil {
				continue
			}
			event, n, retry := received.EventAppeared.Event, number(received.EventAppeared.Event.Event), received.EventAppeared.RetryCount
			seen = append(seen, fmt.Sprintf("%d/%d", n, retry))
			switch {
			case n == 1 && retry == 0:
				check(subscription.Nack("once more", kurrentdb.NackActionRetry, event))
			case n == 2:
				check(subscription.Nack("no", kurrentdb.NackActionSkip, event))
			case n == 3 && len(seen) == 4:
				check(subscription.Nack("cannot", kurrentdb.NackActionPark, event))
			default:
				check(subscription.Ack(event))
			}
			if len(seen) == 5 {
				// An answer is on its way until the server has it on disk.
				for parked := int64(0); parked < 1; {
					info, err := client.GetPersistentSubscriptionInfo(ctx, stream, "group", kurrentdb.GetPersistentSubscriptionOptions{})
					check(err)
					parked = info.Stats.ParkedMessagesCount
				}
				check(client.ReplayParkedMessages(ctx, stream, "group", kurrentdb.ReplayParkedMessagesOptions{}))
			}
		}
		same(strings.Join(seen, " "), "0/0 1/0 2/0 3/0 1/1 3/0")
	}},
	{"subscribe to all, by expression, with checkpoints", func() {
		stream := fresh("only")
		_, err := add(fresh("other"), kurrentdb.Any{}, numbers(0, 300, "Counted"))
		check(err)
		subscription, err := client.SubscribeToAll(ctx, kurrentdb.SubscribeToAllOptions{
			From:               kurrentdb.End{},
			MaxSearchWindow:    16,
			CheckpointInterval: 1,
			Filter:             &kurrentdb.SubscriptionFilter{Type: kurrentdb.StreamFilterType, Regex: "^" + stream + "$"},
		})
		check(err)
		defer subscription.Close()
		result, err := add(fresh("other"), kurrentdb.Any{}, numbers(0, 200, "Counted"))
		check(err)
		_, err = add(stream, kurrentdb.Any{}, numbers(7, 1, "Counted"))
		check(err)
		checkpoints := 0
		for {
			one := subscription.Recv()
			if one.SubscriptionDropped != nil {
				panic(one.SubscriptionDropped.Error)
			}
			if one.CheckPointReached != nil && one.CheckPointReached.Commit+200 >= result.CommitPosition {
				checkpoints++
			}
			if one.EventAppeared != nil {
				same(number(one.EventAppeared.Event), 7)
				break
			}
		}
		if checkpoints == 0 {
			panic("no checkpoint")
		}
	}},
	{"metadata: max count, truncation, max age", func() {
		stream := fresh("s")
		_, err := add(stream, kurrentdb.Any{}, numbers(0, 6, "Counted"))
		check(err)
		few := kurrentdb.StreamMetadata{}
		few.SetMaxCount(3)
		few.AddCustomProperty("owner", "me")
		_, err = client.SetStreamMetadata(ctx, stream, kurrentdb.AppendToStreamOptions{StreamState: kurrentdb.NoStream{}}, few)
		check(err)
		told, err := client.GetStreamMetadata(ctx, stream, kurrentdb.ReadStreamOptions{})
		check(err)
		same([]any{*told.MaxCount(), told.CustomProperty("owner")}, []any{3, "me"})
		same(forwards(stream, 100), []int{3, 4, 5})
		late := kurrentdb.StreamMetadata{}
		late.SetTruncateBefore(5)
		_, err = client.SetStreamMetadata(ctx, stream, kurrentdb.AppendToStreamOptions{StreamState: kurrentdb.Revision(0)}, late)
		check(err)
		same(forwards(stream, 100), []int{5})
		young := kurrentdb.StreamMetadata{}
		young.SetMaxAge(time.Hour)
		_, err = client.SetStreamMetadata(ctx, stream, kurrentdb.AppendToStreamOptions{StreamState: kurrentdb.Any{}}, young)
		check(err)
		same(forwards(stream, 100), []int{0, 1, 2, 3, 4, 5})
	}},
	{"persistent subscription: info, list, update, delete", func() {
		stream := fresh("s")
		settings := kurrentdb.SubscriptionSettingsDefault()
		settings.MaxRetryCount = 3
		options := kurrentdb.PersistentStreamSubscriptionOptions{StartFrom: kurrentdb.Revision(2), Settings: &settings}
		check(client.CreatePersistentSubscription(ctx, stream, "group", options))
		info, err := client.GetPersistentSubscriptionInfo(ctx, stream, "group", kurrentdb.GetPersistentSubscriptionOptions{})
		check(err)
		same([]any{info.EventSource, info.GroupName, info.Settings.MaxRetryCount}, []any{stream, "group", 3})
		settings.MaxRetryCount = 7
		check(client.UpdatePersistentSubscription(ctx, stream, "group", options))
		listed, err := client.ListPersistentSubscriptionsForStream(ctx, stream, kurrentdb.ListPersistentSubscriptionsOptions{})
		check(err)
		same([]any{len(listed), listed[0].GroupName, listed[0].EventSource}, []any{1, "group", stream})
		info, err = client.GetPersistentSubscriptionInfo(ctx, stream, "group", kurrentdb.GetPersistentSubscriptionOptions{})
		check(err)
		same(info.Settings.MaxRetryCount, 7)
		check(client.DeletePersistentSubscription(ctx, stream, "group", kurrentdb.DeletePersistentSubscriptionOptions{}))
		_, err = client.GetPersistentSubscriptionInfo(ctx, stream, "group", kurrentdb.GetPersistentSubscriptionOptions{})
		refused(kurrentdb.ErrorCodeResourceNotFound, err)
	}},
	{"persistent subscription to all, shared", func() {
		group, kind := fresh("group"), fresh("Shared")
		check(client.CreatePersistentSubscriptionToAll(ctx, group, kurrentdb.PersistentAllSubscriptionOptions{
			StartFrom: kurrentdb.Start{},
			Filter:    &kurrentdb.SubscriptionFilter{Type: kurrentdb.EventFilterType, Prefixes: []string{kind}},
		}))
		subscription, err := client.SubscribeToPersistentSubscriptionToAll(
			ctx, group, kurrentdb.SubscribeToPersistentSubscriptionOptions{})
		check(err)
		defer subscription.Close()
		_, err = add(fresh("s"), kurrentdb.Any{}, append(numbers(0, 5, "Counted"), numbers(5, 3, kind)...))
		check(err)
		seen := []int{}
		for len(seen) < 3 {
			received := subscription.Recv()
			if received.SubscriptionDropped != nil {
				panic(received.SubscriptionDropped.Error)
			}
			if received.EventAppeared == nil {
				continue
			}
			seen = append(seen, number(received.EventAppeared.Event.Event))
			check(subscription.Ack(received.EventAppeared.Event))
		}
		same(seen, []int{5, 6, 7})
		check(client.DeletePersistentSubscriptionToAll(ctx, group, kurrentdb.DeletePersistentSubscriptionOptions{}))
	}},
	{"projection: create, state, result, statistics", func() {
		projections := kurrentdb.NewProjectionClientFromExistingClient(client)
		category, name := "acc"+strings.ReplaceAll(uuid.NewString(), "-", ""), fresh("projection")
		_, err := add(category+"-a", kurrentdb.Any{}, numbers(1, 3, "Counted"))
		check(err)
		handlers := "{ $init: () => ({ sum: 0 }), Counted: (s, e) => { s.sum += e.data.n; } }"
		query := fmt.Sprintf(`fromCategory("%s").when(%s)`, category, handlers)
		check(projections.Create(ctx, name, query, kurrentdb.CreateProjectionOptions{}))
		sums := func(wanted float64) {
			for sum := -1.0; sum != wanted; {
				state, err := projections.GetState(ctx, name, kurrentdb.GetStateProjectionOptions{})
				check(err)
				if fields := state.GetStructValue().GetFields(); fields["sum"] != nil {
					sum = fields["sum"].GetNumberValue()
				}
			}
		}
		sums(6)
		status, err := projections.GetStatus(ctx, name, kurrentdb.GenericProjectionOptions{})
		check(err)
		same([]any{status.Name, status.Mode, status.Status}, []any{name, "Continuous", "Running"})
		check(projections.Disable(ctx, name, kurrentdb.GenericProjectionOptions{}))
		status, err = projections.GetStatus(ctx, name, kurrentdb.GenericProjectionOptions{})
		check(err)
		same(status.Status, "Stopped")
		check(projections.Enable(ctx, name, kurrentdb.GenericProjectionOptions{}))
		check(projections.Reset(ctx, name, kurrentdb.ResetProjectionOptions{}))
		_, err = add(category+"-b", kurrentdb.Any{}, numbers(4, 1, "Counted"))
		check(err)
		sums(10)
		check(projections.Update(ctx, name, query+".outputState()", kurrentdb.UpdateProjectionOptions{}))
		sums(10)
		result, err := projections.GetResult(ctx, name, kurrentdb.GetResultProjectionOptions{})
		check(err)
		same(result.GetStructValue().GetFields()["sum"].GetNumberValue(), 10)
		all, err := projections.ListContinuous(ctx, kurrentdb.GenericProjectionOptions{})
		check(err)
		names := []string{}
		for _, one := range all {
			names = append(names, one.Name)
		}
		if !slices.Contains(names, name) || !slices.Contains(names, "$by_category") {
			panic(fmt.Sprint(names))
		}
		check(projections.Abort(ctx, name, kurrentdb.GenericProjectionOptions{}))
		check(projections.Delete(ctx, name, kurrentdb.DeleteProjectionOptions{}))
	}},
}
