package main

import (
	"bytes"
	"cmp"
	"crypto/md5"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"

	routev1 "github.com/openshift/api/route/v1"

	"github.com/meshproof/meshproof/framework/lab/router/accesslog"
)

var (
	//go:embed haproxy.cfg.tmpl
	configurationSource string
	//go:embed error-503.http
	unavailablePage string

	configurationTemplate = template.Must(template.New("haproxy.cfg").Parse(configurationSource))
)

// settings are what every configuration of one router has in common.
type settings struct {
	// runDir is the folder of HAProxy's sockets.
	runDir string
	// defaultCertificate is shown for every host without a certificate of its own: PEM, with its key.
	defaultCertificate string
	// serviceCA signs the certificates of servers whose Route names no authority; empty means that there is none.
	serviceCA string
}

// Names of files in a configuration's folder.
const (
	mainFile           = "haproxy.cfg"
	httpMap            = "http.map"          // HOST/PATH/ -> backend of plain requests
	tlsMap             = "tls.map"           // HOST/PATH/ -> backend of requests whose TLS was ended
	redirectMap        = "redirect.map"      // HOST/PATH/ -> whether plain requests are redirected
	passthroughMap     = "passthrough.map"   // HOST -> backend that gets the TLS itself
	certificateList    = "certificates.list" // certificate -> HOST
	defaultCertificate = "default.pem"
	serviceCA          = "service-ca.pem"
	unavailable        = "error-503.http"
)

// backend is the section of one Route.
type backend struct {
	Name          string
	TCP           bool
	Balance       string
	Timeout       string
	Cookie        string
	ServerOptions string
	Servers       []server
}

// server is the line of one pod.
type server struct {
	Name, Address, Cookie string
	Weight                int
}

// render returns the files, by name, of the configuration that serves these Routes with these endpoints. The same input
// gives the same files, in whatever order it comes.
func render(s settings, routes []*routev1.Route, endpoints endpoints) (map[string]string, error) {
	files := map[string]string{defaultCertificate: s.defaultCertificate, unavailable: unavailablePage}
	if s.serviceCA != "" {
		files[serviceCA] = s.serviceCA
	}
	tables := map[string]map[string]string{httpMap: {}, tlsMap: {}, redirectMap: {}, passthroughMap: {}, certificateList: {}}
	var backends []backend
	for _, route := range slices.SortedFunc(slices.Values(routes), func(a, b *routev1.Route) int { return cmp.Compare(routeKey(a), routeKey(b)) }) {
		made := newBackend(route, endpoints)
		backends = append(backends, made)
		publish(tables, route, made.Name)
		if tls := route.Spec.TLS; tls != nil {
			key := routeKey(route)
			if tls.Certificate != "" {
				files[key+".pem"] = pemFile(tls.Certificate, tls.Key, tls.CACertificate)
				tables[certificateList][key+".pem"] = route.Spec.Host
			}
			if tls.DestinationCACertificate != "" {
				files[key+".ca.pem"] = tls.DestinationCACertificate
			}
		}
	}
	for name, table := range tables {
		files[name] = lines(table)
	}
	var text bytes.Buffer
	err := configurationTemplate.Execute(&text, map[string]any{
		"RunDir": s.runDir, "Backends": backends, "HTTPFormat": accesslog.HTTPFormat, "TCPFormat": accesslog.TCPFormat,
		"ErrorFormat": accesslog.ErrorFormat, "HTTPRules": accesslog.HTTPRules, "TCPRules": accesslog.TCPRules,
	})
	files[mainFile] = text.String()
	return files, err
}

// routeKey names a Route in backends and files, as OpenShift's router does.
func routeKey(route *routev1.Route) string { return route.Namespace + ":" + route.Name }

// publish enters a Route into the tables by which requests find it.
func publish(tables map[string]map[string]string, route *routev1.Route, backend string) {
	base := route.Spec.Host + routePath(route) + "/"
	termination, insecure := terminationOf(route), routev1.InsecureEdgeTerminationPolicyNone
	if route.Spec.TLS != nil {
		insecure = route.Spec.TLS.InsecureEdgeTerminationPolicy
	}
	// Every Route stands in this table, so that one with a longer path is not redirected by one with a shorter.
	tables[redirectMap][base] = "serve"
	if insecure == routev1.InsecureEdgeTerminationPolicyRedirect {
		tables[redirectMap][base] = "redirect"
	}
	switch termination {
	case "":
		tables[httpMap][base] = backend
	case routev1.TLSTerminationPassthrough:
		tables[passthroughMap][route.Spec.Host] = backend
	default:
		tables[tlsMap][base] = backend
		if insecure == routev1.InsecureEdgeTerminationPolicyAllow {
			tables[httpMap][base] = backend
		}
	}
}

// routePath is the path that a Route serves, without the slash at its end: /a and /a/ are the same path here.
func routePath(route *routev1.Route) string { return strings.TrimRight(route.Spec.Path, "/") }

func terminationOf(route *routev1.Route) routev1.TLSTerminationType {
	if route.Spec.TLS == nil {
		return ""
	}
	return route.Spec.TLS.Termination
}

// backendPrefix is how OpenShift's router names the backends of each kind of Route.
var backendPrefix = map[routev1.TLSTerminationType]string{
	"": "be_http:", routev1.TLSTerminationEdge: "be_edge_http:", routev1.TLSTerminationReencrypt: "be_secure:", routev1.TLSTerminationPassthrough: "be_tcp:",
}

func newBackend(route *routev1.Route, endpoints endpoints) backend {
	termination := terminationOf(route)
	b := backend{
		Name: backendPrefix[termination] + routeKey(route), TCP: termination == routev1.TLSTerminationPassthrough,
		Timeout: timeout(route.Annotations["haproxy.router.openshift.io/timeout"]),
	}
	services := weigh(route, endpoints)
	b.Balance = balance(route, len(services.active()) > 1)
	cookies := !b.TCP && route.Annotations["haproxy.router.openshift.io/disable_cookies"] != "true"
	if cookies {
		b.Cookie = fmt.Sprintf("%x insert indirect nocache httponly", md5.Sum([]byte(b.Name)))
		if termination != "" && route.Spec.TLS.InsecureEdgeTerminationPolicy != routev1.InsecureEdgeTerminationPolicyAllow {
			b.Cookie += " secure attr SameSite=None"
		}
	}
	for _, service := range services {
		// Without cookies nothing can still belong to a server of weight 0.
		if service.perEndpoint == 0 && b.TCP {
			continue
		}
		for _, e := range service.endpoints {
			s := server{Name: e.serverName(), Address: e.address(), Weight: service.perEndpoint}
			if cookies {
				s.Cookie = fmt.Sprintf("%x", md5.Sum([]byte(s.Name)))
			}
			b.Servers = append(b.Servers, s)
		}
	}
	if termination == routev1.TLSTerminationReencrypt {
		b.ServerOptions = reencrypt(route)
	}
	if services.endpointsInUse() > 1 {
		b.ServerOptions += " check inter 5s"
	}
	return b
}

// reencrypt is how a server's certificate is checked: against the Route's authority, whatever its name; or, if the Route
// has none, against the service CA, by the Service's name. No server name is asked for, as on OpenShift.
func reencrypt(route *routev1.Route) string {
	if route.Spec.TLS.DestinationCACertificate != "" {
		return " ssl verify required ca-file " + routeKey(route) + ".ca.pem"
	}
	return fmt.Sprintf(" ssl verify required verifyhost %s.%s.svc ca-file %s", route.Spec.To.Name, route.Namespace, serviceCA)
}

// balance is OpenShift's choice, which an annotation can change.
func balance(route *routev1.Route, manyServices bool) string {
	switch wanted := route.Annotations["haproxy.router.openshift.io/balance"]; {
	case slices.Contains([]string{"roundrobin", "leastconn", "source", "random"}, wanted):
		return wanted
	case manyServices:
		return "roundrobin"
	case terminationOf(route) == routev1.TLSTerminationPassthrough:
		return "source"
	}
	return "random"
}

// timeout is an annotation's value, such as 90s, in milliseconds; "" if it is none. HAProxy has no longer one than 2^31 ms.
func timeout(annotation string) string {
	digits := strings.TrimRight(annotation, "usmhd")
	amount, err := strconv.ParseUint(digits, 10, 31)
	milliseconds, known := map[string]float64{"us": 0.001, "": 1, "ms": 1, "s": 1e3, "m": 6e4, "h": 36e5, "d": 864e5}[annotation[len(digits):]]
	if err != nil || amount == 0 || !known {
		return ""
	}
	return fmt.Sprintf("%.0fms", min(max(float64(amount)*milliseconds, 1), 1<<31-1))
}

// pemFile joins PEM texts, each of which may lack its last line break.
func pemFile(texts ...string) string {
	var file strings.Builder
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			file.WriteString(text + "\n")
		}
	}
	return file.String()
}

func lines(table map[string]string) string {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(table)) {
		text.WriteString(key + " " + table[key] + "\n")
	}
	return text.String()
}
