package mongo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/framework/wait"
)

const (
	// databaseTimeout bounds one question to the database.
	databaseTimeout = 5 * time.Second
	preparePeriod   = 250 * time.Millisecond
)

// PrepareLimit is how long the database may take, behind its gateway, to answer for the first time. A pattern that Prepare
// prepares has it among its waits.
var PrepareLimit = wait.Limit{Name: "database", Usual: 30 * time.Second, For: "the database to answer for the first time"}

// Prepare makes the user of the application, and the two documents that tell this database from every other source of
// ratings, as the source's script does: from outside, as the administrator, by TLS through the gateway. What is there is left
// as it is.
func Prepare(ctx context.Context, env *pattern.Env) error {
	client, err := env.Vantage(ctx, Outside)
	if err != nil {
		return err
	}
	timeout := env.Within(PrepareLimit)
	if env.ControlTimeout != 0 {
		timeout = env.TimeoutScale.Of(env.ControlTimeout)
	}
	setUp := setUp{env: env, client: client}
	build, err := setUp.first(ctx, timeout)
	if err != nil {
		return err
	}
	if err := setUp.user(ctx, strings.Contains(strings.ToLower(build), "ferretdb")); err != nil {
		return err
	}
	return setUp.documents(ctx)
}

type setUp struct {
	env    *pattern.Env
	client traffic.Client
}

// first waits until the database answers the administrator, and returns what it says of itself.
func (s setUp) first(ctx context.Context, timeout time.Duration) (build string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("timed out after %s", timeout))
	defer cancel()
	ticker := time.NewTicker(preparePeriod)
	defer ticker.Stop()
	for {
		if build, err = s.ask(ctx, "admin", `{"buildInfo": 1}`); err == nil {
			return build, nil
		}
		if strings.Contains(err.Error(), "AuthenticationFailed") {
			return "", fmt.Errorf("the database does not know user admin by the password of the run (parameter %s): %w", adminPassword, err)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the database to answer through %s (%w): %w; look at the pods of namespaces %s and %s",
				Balancer(s.env, TLSPort), context.Cause(ctx), err, s.env.Values["control_plane_namespace"], s.env.Values["mongodb_namespace"])
		case <-ticker.C:
		}
	}
}

// user makes the application's user, with its password of this run. FerretDB knows no roles.
func (s setUp) user(ctx context.Context, ferretDB bool) error {
	roles := `[{"role": "read", "db": "test"}]`
	if ferretDB {
		roles = "[]"
	}
	known, err := s.ask(ctx, "test", `{"usersInfo": "bookinfo"}`)
	if err != nil {
		return err
	}
	if strings.Contains(known, `"bookinfo"`) {
		return nil
	}
	_, err = s.ask(ctx, "test", fmt.Sprintf(`{"createUser": "bookinfo", "pwd": %q, "roles": %s}`, s.env.Values[ratingsPassword], roles))
	return err
}

// documents are two, each with one star.
func (s setUp) documents(ctx context.Context) error {
	found, err := s.ask(ctx, "test", `{"find": "ratings"}`)
	if err != nil || strings.Count(found, `"rating"`) == 2 {
		return err
	}
	if _, err := s.ask(ctx, "test", `{"delete": "ratings", "deletes": [{"q": {}, "limit": 0}]}`); err != nil {
		return err
	}
	_, err = s.ask(ctx, "test", `{"insert": "ratings", "documents": [{"rating": 1}, {"rating": 1}]}`)
	return err
}

// ask runs one command as the administrator.
func (s setUp) ask(ctx context.Context, database, command string) (reply string, err error) {
	request := Ask(Balancer(s.env, TLSPort), Admin(s.env), Unchecked(s.env), wire.DatabaseCommand{Database: database, Command: command})
	result, err := s.client.Do(ctx, traffic.NewProbes(request, "prepare", 1)[0])
	if err != nil {
		return "", fmt.Errorf("ask the database from %s: %w", s.client.Name(), err)
	}
	if result.Err != "" {
		verb, _, _ := strings.Cut(strings.TrimLeft(command, `{"`), `"`)
		return "", fmt.Errorf("%s on database %s: %s", verb, database, result.Err)
	}
	return strings.Join(result.Database.Replies, "\n"), nil
}
