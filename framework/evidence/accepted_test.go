package evidence

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseAccepted(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 4, 18, 605000000, time.UTC)
	for name, test := range map[string]struct {
		line string
		want Accepted
		is   bool
	}{
		"FerretDB": {`{"time":"2026-11-22T20:04:18.605Z","level":"INFO","msg":"Connection started","name":"listener","conn":"10.244.0.9:34774 -> 10.244.0.8:27017"}`,
			Accepted{Peer: "10.244.0.9:34774", Time: at}, true},
		"FerretDB, the end of it": {`{"time":"2026-11-22T20:04:18.605Z","level":"INFO","msg":"Connection stopped","conn":"10.244.0.9:34774 -> 10.244.0.8:27017"}`, Accepted{}, false},
		"MongoDB": {`{"t":{"$date":"2026-11-22T20:04:18.605+00:00"},"s":"I","c":"NETWORK","id":22943,"ctx":"listener","msg":"Connection accepted","attr":{"remote":"10.244.0.9:34774","connectionId":9,"connectionCount":2}}`,
			Accepted{Peer: "10.244.0.9:34774", Time: at}, true},
		"another line":               {`{"time":"2026-11-22T20:04:18.605Z","msg":"Telemetry disabled."}`, Accepted{}, false},
		"words of the message alone": {"Connection started", Accepted{}, false},
		"cut off":                    {`{"msg":"Connection started","conn":"10.244.0.9:347`, Accepted{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, is := parseAccepted(test.line)
			if is != test.is || !got.Time.Equal(test.want.Time) {
				t.Fatalf("%+v, %t", got, is)
			}
			got.Time = test.want.Time
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseAccepted(f *testing.F) {
	f.Add(`{"time":"2026-11-22T20:04:18.605Z","msg":"Connection started","conn":"10.244.0.9:34774 -> 10.244.0.8:27017"}`)
	f.Add(`{"msg":"Connection accepted","attr":{"remote":"[::1]:5"}}`)
	f.Fuzz(func(t *testing.T, line string) {
		if got, is := parseAccepted(line); is && got.Peer == "" {
			t.Errorf("%q is taken for a connection of nobody", line)
		}
	})
}
