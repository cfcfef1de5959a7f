package rules

import "context"

// kind is a kind of fact: its fields, and how such facts are found out.
type kind struct {
	fields []string
	look   func(context.Context, *Scene) ([]Fact, error)
}

// kinds are all that rules may ask for. A field "hop" is the hop that a fact concerns.
var kinds map[string]kind

func init() { // the functions refer to one another by way of Scene
	kinds = map[string]kind{
		// What the ends recorded of the probe.
		"line":        {[]string{"hop", "side", "cluster", "status", "flags", "reason", "host", "path", "sni", "upstream"}, lines},
		"answer":      {[]string{"status", "error", "host", "port"}, answers},
		"peer":        {[]string{"hop", "identity"}, peers},
		"connection":  {[]string{"hop", "remote", "port"}, connections},
		"certificate": {[]string{"subject", "issuer", "names", "asked", "self-signed", "covers", "expired", "days"}, certificates},
		"versions":    {[]string{"chosen"}, versions},
		// What may keep evidence from being there.
		"no-log":        {[]string{"hop", "why", "telemetry"}, noLogs},
		"no-statistics": {[]string{"hop", "what"}, noStatistics},
		"silent":        {[]string{"hop", "container"}, silent},
		"log":           {[]string{"hop", "text"}, loggedErrors},
		"translating":   {[]string{"hop", "service"}, translating},
		// Workloads and Services.
		"down":        {[]string{"workload", "wanted", "ready", "service"}, down},
		"also-behind": {[]string{"hop", "service", "workload", "down"}, alsoBehind},
		"sub-path":    {[]string{"hop", "workload", "path", "secret"}, subPaths},
		"account":     {[]string{"hop", "workload", "account"}, accounts},
		"not-opened":  {[]string{"hop", "service", "port"}, notOpened},
		"route":       {[]string{"route", "host", "policy"}, routes},
		// Routing.
		"routed":           {[]string{"hop", "cluster", "by"}, routed},
		"rules-of":         {[]string{"host", "virtual-services"}, rulesOf},
		"redirect-lost":    {[]string{"virtual-service", "host", "gateway"}, redirectsLost},
		"redirect-narrow":  {[]string{"virtual-service", "subnets", "address"}, redirectsNarrow},
		"redirect-astray":  {[]string{"virtual-service", "destination", "gateway"}, redirectsAstray},
		"host-twice":       {[]string{"host", "first", "second"}, hostsTwice},
		"registered-twice": {[]string{"host", "first", "second"}, registeredTwice},
		"undefined":        {[]string{"virtual-service", "host", "subset"}, undefinedSubsets},
		"unregistered":     {[]string{"virtual-service", "host", "port"}, unregistered},
		"mirror":           {[]string{"virtual-service", "to"}, mirrors},
		"one-version":      {[]string{"virtual-service", "host", "subset"}, oneVersion},
		"every-path":       {[]string{"virtual-service", "host"}, everyPath},
		"every-host":       {[]string{"gateway", "port"}, everyHost},
		"outbound-policy":  {[]string{"hop", "sidecar", "mode"}, outboundPolicies},
		// TLS.
		"peer-authentication": {[]string{"hop", "object", "mode"}, peerAuthentications},
		"destination-tls":     {[]string{"rule", "host", "subset", "mode", "sni", "unchecked"}, destinationTLS},
		"begins-tls":          {[]string{"hop", "rule", "host", "cluster"}, beginsTLS},
		"origination-unused":  {[]string{"rule", "subset", "host", "virtual-service", "destination"}, originationsUnused},
		// Limits.
		"pool":     {[]string{"rule", "host", "subset", "connections", "pending", "requests-per-connection"}, pools},
		"outlier":  {[]string{"rule", "subset", "field", "value"}, outliers},
		"hash":     {[]string{"rule", "host", "by"}, hashes},
		"protocol": {[]string{"entry", "host", "port", "protocol"}, protocols},
	}
}
