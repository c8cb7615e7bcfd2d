package redis_test

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/ledger"
	"github.com/sallyport/sallyport/limit/redis"
	"github.com/sallyport/sallyport/test/services"
)

func connect(t testing.TB, s *services.Server) rueidis.Client {
	t.Helper()
	option, err := rueidis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

var group atomic.Int64

// The script and the arithmetic in Go give the same answers to any questions.
func TestSameAsTheModel(t *testing.T) {
	t.Parallel()
	client := connect(t, services.Redis(t))
	rapid.Check(t, func(rt *rapid.T) {
		now := int64(1_795_521_600_000_000) + rapid.Int64Range(0, 1e6).Draw(rt, "start")
		model := &ledger.Memory{Now: func() time.Time { return time.UnixMicro(now) }}
		script := redis.New(client, fmt.Sprintf("model%d", group.Add(1)))
		script.SetClock(func() int64 { return now })
		length := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 100 * time.Millisecond}).Draw(rt, "length")
		share := rapid.Int64Range(1, 200).Draw(rt, "share") * 1000
		epochs := map[string]int64{}
		sequences := map[string]int64{}
		for range rapid.IntRange(1, 40).Draw(rt, "questions") {
			now += rapid.OneOf(rapid.Int64Range(0, length.Microseconds()/20), rapid.Int64Range(-1000, 2*length.Microseconds())).Draw(rt, "later")
			question := draw(rt, now, share, length, epochs, sequences)
			want, err := model.Settle(context.Background(), question)
			if err != nil {
				rt.Fatal(err)
			}
			got, err := script.Settle(context.Background(), question)
			if err != nil {
				rt.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				rt.Fatalf("at %d\nasked %+v\ngot  %+v\nwant %+v", now, *question, *got, *want)
			}
			for i, s := range question.Statements {
				epochs[s.Account] = want.Accounts[i].Epoch
			}
		}
	})
}

// draw makes a question that a Limiter could ask, and some it would not.
func draw(rt *rapid.T, now, share int64, length time.Duration, epochs, sequences map[string]int64) *limit.Settlement {
	slot := max(length/1000, 100*time.Microsecond)
	q := &limit.Settlement{
		Instance: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "instance"),
		Beat:     rapid.Bool().Draw(rt, "beat"), Leave: rapid.IntRange(0, 9).Draw(rt, "leave") == 0,
	}
	if rapid.IntRange(0, 9).Draw(rt, "pauses") == 0 {
		q.Pause = time.Duration(rapid.Int64Range(1, 5e6).Draw(rt, "pause")) * time.Microsecond
	}
	for _, account := range []string{"one", "two"}[:rapid.IntRange(0, 2).Draw(rt, "accounts")] {
		s := limit.Statement{
			Account: account, Share: share, Length: length, Slot: slot, Horizon: length / 10, Validity: length / 4,
			Epoch: epochs[account], Instances: rapid.IntRange(1, 4).Draw(rt, "instances"), Ceiling: rapid.Int64Range(0, 50).Draw(rt, "ceiling") * 1000,
			Join: rapid.IntRange(0, 9).Draw(rt, "join") == 0, Back: rapid.IntRange(0, 9).Draw(rt, "back") == 0, Whole: rapid.Bool().Draw(rt, "whole"),
			Want: rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 100)).Draw(rt, "want") * 1000, Least: rapid.SampledFrom([]int64{1000, 1, 500}).Draw(rt, "least"),
			Left: -1,
		}
		if rapid.IntRange(0, 9).Draw(rt, "learnt") == 0 {
			s.Left, s.Ends = rapid.Int64Range(0, share).Draw(rt, "left"), rapid.Bool().Draw(rt, "ends")
			s.LeftFor = time.Duration(rapid.Int64Range(0, length.Microseconds()).Draw(rt, "left for")) * time.Microsecond
		}
		key := q.Instance + account
		if rapid.IntRange(0, 3).Draw(rt, "says") > 0 {
			sequences[key]++
		}
		s.Sequence = sequences[key]
		for range rapid.IntRange(0, 6).Draw(rt, "entries") {
			at := now - rapid.Int64Range(-length.Microseconds()/2, length.Microseconds()*3/2).Draw(rt, "at")
			s.Entries = append(s.Entries, limit.Entry{Slot: at / slot.Microseconds(), Units: rapid.Int64Range(-20, 20).Draw(rt, "units") * 1000})
		}
		q.Statements = append(q.Statements, s)
	}
	return q
}
