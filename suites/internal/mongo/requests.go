package mongo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// Agents of the MongoDB patterns: one in a pod without a sidecar, one beside the application.
const (
	Outside = "outside"
	Inside  = "inside"
)

// Ports of the load balancer.
const (
	PlainPort = 27017
	TLSPort   = 27018
)

// Parts of the answers of reviews: with the stars of the database, which no other version of ratings has, and without any.
const (
	OneStar     = `"rating":{"stars":1,"color":"red"}`
	Unavailable = `"rating":{"error":"Ratings service is currently unavailable"`
)

// Reviews asks productpage for the reviews, with their stars, through the gateway of the page.
func Reviews(env *pattern.Env) traffic.Request {
	return traffic.Request{
		URL:    fmt.Sprintf("http://custom-ingressgateway.%s.svc.cluster.local/api/v1/products/0/reviews", env.Values["control_plane_namespace"]),
		Host:   env.Values["route_hostname"],
		Serves: OneStar,
	}
}

// Login is who asks the database.
type Login struct{ User, Password, Database string }

// Ratings is the application's own user, Admin the administrator, and Nobody says who asks not at all.
func Ratings(env *pattern.Env) Login {
	return Login{User: "bookinfo", Password: env.Values[ratingsPassword], Database: "test"}
}

// Admin is the administrator of the database.
func Admin(env *pattern.Env) Login {
	return Login{User: "admin", Password: env.Values[adminPassword], Database: "admin"}
}

// Find asks for all ratings, over TLS as options say; nil means in plain text. The address is host:port.
func Find(address string, login Login, options *wire.DatabaseTLS) traffic.Request {
	return Ask(address, login, options, wire.DatabaseCommand{Database: "test", Command: `{"find": "ratings"}`})
}

// Ask runs commands, one after another.
func Ask(address string, login Login, options *wire.DatabaseTLS, commands ...wire.DatabaseCommand) traffic.Request {
	return traffic.Request{Timeout: databaseTimeout, Database: &wire.DatabaseRequest{
		Address: address, TLS: options, Username: login.User, Password: login.Password, AuthDatabase: login.Database, Commands: commands,
	}}
}

// Balancer is the address of the load balancer by name, with a port.
func Balancer(env *pattern.Env, port int) string {
	return net.JoinHostPort(env.Values[Host], strconv.Itoa(port))
}

// Unchecked asks for the database's host and takes every certificate, as the source of the patterns does.
func Unchecked(env *pattern.Env) *wire.DatabaseTLS {
	return &wire.DatabaseTLS{ServerName: env.Values[Host], Insecure: true}
}

// Trusted is how a client of the pattern checks the certificate: not at all as the source has it, and whole once hardened.
func Trusted(env *pattern.Env) *wire.DatabaseTLS {
	if env.Hardened {
		return Checked(env, env.Values[Host])
	}
	return Unchecked(env)
}

// WithoutOneStar is what is wrong with the stars of an answer of reviews; empty when both reviewers have the database's one.
func WithoutOneStar(flow evidence.Flow) string {
	if count := strings.Count(flow.Result.Body, OneStar); count != 2 {
		return "shows the database's star for " + []string{"no reviewer", "one reviewer only"}[min(count, 1)]
	}
	return ""
}

// Checked asks for the database's host, and takes only a certificate for this name by the run's own authority.
func Checked(env *pattern.Env, name string) *wire.DatabaseTLS {
	return &wire.DatabaseTLS{ServerName: env.Values[Host], CertificateName: name, RootCAs: PEM(env.Values, ownAuthority)}
}

// CheckedByOther is Checked with an authority that has not signed the server's certificate.
func CheckedByOther(env *pattern.Env, name string) *wire.DatabaseTLS {
	return &wire.DatabaseTLS{ServerName: env.Values[Host], CertificateName: name, RootCAs: PEM(env.Values, otherAuthority)}
}

// CertificateName is the name that the certificate of mongo-ingressgateway is for: as the source has it, the name of the
// Service inside the cluster, which no client uses.
func CertificateName(env *pattern.Env) string {
	if env.Hardened {
		return outside(env.Values)
	}
	return inside(env.Values)
}

// Fingerprint is the SHA-256, in hex, of the certificate that mongo-ingressgateway presents.
func Fingerprint(env *pattern.Env) string {
	name := proxyCert
	if env.Hardened {
		name = namedCert
	}
	block, _ := pem.Decode([]byte(PEM(env.Values, name)))
	if block == nil {
		return ""
	}
	digest := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(digest[:])
}

// Page is the cluster that Istio makes of a service of Bookinfo.
func Page(env *pattern.Env, service, subset string) string {
	return fmt.Sprintf("outbound|9080|%s|%s.%s.svc.cluster.local", subset, service, env.Values["bookinfo_namespace"])
}

// External is the cluster that Istio makes of the load balancer.
func External(env *pattern.Env, port int, subset string) string {
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, env.Values[Host])
}

// Database is the cluster that Istio makes of the database's own Service.
func Database(env *pattern.Env) string {
	return fmt.Sprintf("outbound|27017||mongodb.%s.svc.cluster.local", env.Values["mongodb_namespace"])
}
