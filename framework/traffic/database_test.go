package traffic

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/fixtures/record"
)

// question is a probe of a database.
func question() Probe {
	return NewProbes(Request{Timeout: 1500 * time.Millisecond, Database: &wire.DatabaseRequest{
		Address: "db.lab:27018", TLS: &wire.DatabaseTLS{ServerName: "db.lab"}, Username: "bookinfo", Password: "p", AuthDatabase: "test",
		Commands: []wire.DatabaseCommand{{Database: "test", Command: `{"find": "ratings"}`}},
	}}, "MI1", 1)[0]
}

// databaseAgent answers every question to a database with this response, and keeps what it was asked.
func databaseAgent(t *testing.T, response wire.DatabaseResponse) (pod *Pod, asked *wire.DatabaseRequest) {
	t.Helper()
	asked = &wire.DatabaseRequest{}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/database" {
			t.Errorf("the agent was asked %s %s", r.Method, r.URL.Path)
		}
		if err := json.NewDecoder(r.Body).Decode(asked); err != nil {
			t.Errorf("the agent does not understand its question: %v", err)
		}
		_ = json.NewEncoder(w).Encode(response)
	})
	return NewPod("pod apps/client", server.Listener.Addr().String()), asked
}

func TestADatabaseIsAskedUnderTheNameOfTheProbe(t *testing.T) {
	pod, asked := databaseAgent(t, wire.DatabaseResponse{})
	probe := question()
	if _, err := pod.Do(t.Context(), probe); err != nil {
		t.Fatal(err)
	}
	want := *probe.Request.Database
	want.Name, want.TimeoutMilliseconds = probe.ID, 1500
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("the agent was asked (-want +got):\n%s", diff)
	}
	if probe.Request.Database.Name != "" {
		t.Error("the request itself, which other probes have too, was given a name")
	}
}

func TestWhatTheAgentSawOfADatabase(t *testing.T) {
	started := time.Date(2026, 11, 22, 16, 4, 5, 0, time.UTC)
	response := wire.DatabaseResponse{
		Replies: []string{"{}"}, Error: "(AuthenticationFailed)", Code: 18, TLS: &wire.TLS{Version: "TLS 1.3"}, StartedAt: started, Milliseconds: 1.5,
		Connections: []record.Connection{{Purpose: record.Monitor, Local: "10.0.0.9:1", Remote: "a:1"}, {Purpose: record.Query, Local: "10.0.0.9:2", Remote: "a:2"}},
	}
	pod, _ := databaseAgent(t, response)
	probe := question()
	got, err := pod.Do(t.Context(), probe)
	if err != nil {
		t.Fatal(err)
	}
	want := Result{
		Probe: probe, Err: "(AuthenticationFailed)", TLS: response.TLS, Database: &response, StartedAt: started, Duration: 1500 * time.Microsecond,
		LocalAddress: "10.0.0.9:2", RemoteAddress: "a:2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

// What the vantage point does wrong is no refusal of the database.
func TestAnAgentThatCannotAskADatabase(t *testing.T) {
	pod := NewPod("pod apps/client", serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no address", http.StatusBadRequest)
	}).Listener.Addr().String())
	result, err := pod.Do(t.Context(), question())
	if err == nil || result.Err != "" || result.Database != nil {
		t.Errorf("error %v, result %+v", err, result)
	}
}

func TestDecisiveConnection(t *testing.T) {
	made := func(purpose, local string) record.Connection {
		return record.Connection{Purpose: purpose, Local: local}
	}
	for name, test := range map[string]struct {
		made []record.Connection
		want string
	}{
		"that which was asked over":              {[]record.Connection{made(record.Monitor, "1"), made(record.Query, "2"), made(record.Monitor, "3")}, "2"},
		"asked over before what watches":         {[]record.Connection{made(record.Query, "1"), made(record.Monitor, "2")}, "1"},
		"the last of those that were asked over": {[]record.Connection{made(record.Query, "1"), made(record.Query, "2")}, "2"},
		"the first try of one that never asked":  {[]record.Connection{made(record.Monitor, "1"), made(record.Monitor, "2")}, "1"},
		"none":                                   {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decisiveConnection(test.made).Local; got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestServedAndOutcome(t *testing.T) {
	serves := Probe{Request: Request{Serves: "stars"}}
	replies := func(texts ...string) *wire.DatabaseResponse { return &wire.DatabaseResponse{Replies: texts} }
	for name, test := range map[string]struct {
		result  Result
		served  bool
		outcome string
	}{
		"a page":                            {Result{Status: 200}, true, "status 200"},
		"a page with its text":              {Result{Probe: serves, Status: 200, Body: "two stars"}, true, "status 200"},
		"a page without its text":           {Result{Probe: serves, Status: 200, Body: "none"}, false, "status 200"},
		"another good status":               {Result{Status: 204}, false, "status 204"},
		"half a page":                       {Result{Status: 200, Err: "unexpected EOF"}, false, "status 200, and no whole answer: unexpected EOF"},
		"no answer":                         {Result{Err: "EOF"}, false, "no answer: EOF"},
		"nothing at all":                    {Result{}, false, "status 0"},
		"a reply":                           {Result{Database: replies("{}")}, true, "1 replies of the database"},
		"its text in the second reply":      {Result{Probe: serves, Database: replies("{}", "stars")}, true, "2 replies of the database"},
		"no reply with its text":            {Result{Probe: serves, Database: replies("{}")}, false, "1 replies of the database"},
		"its text, and then an error":       {Result{Probe: serves, Err: "(Locked)", Database: replies("stars")}, false, "no answer: (Locked)"},
		"a text that goes over two replies": {Result{Probe: serves, Database: replies("sta", "rs")}, false, "2 replies of the database"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.result.Served(); got != test.served {
				t.Errorf("served: %t", got)
			}
			if got := test.result.Outcome(); got != test.outcome {
				t.Errorf("outcome %q, want %q", got, test.outcome)
			}
		})
	}
}
