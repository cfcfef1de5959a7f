package traffic

import (
	"context"
	"time"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/fixtures/record"
)

// askDatabase sends a probe that is a question to a MongoDB, over connections of its own, which are closed with the answer.
// The error is of the vantage point itself; what the way or the server refuses is in the result.
func askDatabase(ctx context.Context, probe Probe, ask func(context.Context, wire.DatabaseRequest) (wire.DatabaseResponse, error)) (Result, error) {
	result := Result{Probe: probe, StartedAt: time.Now()}
	request := *probe.Request.Database
	request.Name, request.TimeoutMilliseconds = probe.ID, probe.Timeout().Milliseconds()
	response, err := ask(ctx, request)
	if err != nil {
		return result, err
	}
	result.Database, result.Err, result.TLS = &response, response.Error, response.TLS
	result.StartedAt, result.Duration = response.StartedAt, time.Duration(response.Milliseconds*float64(time.Millisecond))
	connection := decisiveConnection(response.Connections)
	result.LocalAddress, result.RemoteAddress = connection.Local, connection.Remote
	return result, nil
}

// decisiveConnection is the one over which the database was asked. A driver that could not even find out what the server is
// has made none: then it is the one by which it tried.
func decisiveConnection(connections []record.Connection) record.Connection {
	var decisive record.Connection
	for _, c := range connections {
		if c.Purpose == record.Query || decisive.Purpose == "" {
			decisive = c
		}
	}
	return decisive
}
