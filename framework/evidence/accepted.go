package evidence

import (
	"encoding/json"
	"strings"
	"time"
)

// Accepted is a connection that a database recorded as accepted.
type Accepted struct {
	// Hop and LogPod say whose log it stood in.
	Hop, LogPod string
	// Peer is where it came from, as host:port, as the database sees it: behind a sidecar, the sidecar.
	Peer string
	Time time.Time
}

// parseAccepted returns the connection that a line of a database's log tells of, and whether it tells of one. FerretDB
// and MongoDB write one JSON object per line.
func parseAccepted(text string) (Accepted, bool) {
	if !strings.HasPrefix(text, "{") || !strings.Contains(text, "Connection ") {
		return Accepted{}, false
	}
	var line struct {
		// FerretDB
		Time time.Time `json:"time"`
		Conn string    `json:"conn"`
		// MongoDB
		T struct {
			Date time.Time `json:"$date"`
		} `json:"t"`
		Attr struct {
			Remote string `json:"remote"`
		} `json:"attr"`
		// both
		Msg string `json:"msg"`
	}
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		return Accepted{}, false
	}
	switch line.Msg {
	case "Connection started":
		peer, _, found := strings.Cut(line.Conn, " -> ")
		return Accepted{Peer: peer, Time: line.Time}, found && peer != ""
	case "Connection accepted":
		return Accepted{Peer: line.Attr.Remote, Time: line.T.Date}, line.Attr.Remote != ""
	}
	return Accepted{}, false
}
