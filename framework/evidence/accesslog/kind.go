package accesslog

import "strings"

// valueKind is what an operator's value is.
type valueKind int

const (
	anyKind valueKind = iota
	visibleKind
	wordKind
	numberKind
	addressKind
	bareAddressKind
	timeKind
)

// class returns how values of a kind are written; times say it themselves.
func (k valueKind) class() class {
	switch k {
	case numberKind:
		return numberClass
	case wordKind:
		return wordClass
	case visibleKind:
		return visibleClass
	case addressKind:
		return addressClass
	case bareAddressKind:
		return bareAddressClass
	}
	return anyClass
}

// kinds are the operators whose values Envoy bounds. Whatever a client, an upstream or
// a configuration may word freely is anyKind, and is not listed.
var kinds = map[string]valueKind{
	"START_TIME": timeKind,

	"RESPONSE_CODE": numberKind, "GRPC_STATUS_NUMBER": numberKind,
	"BYTES_RECEIVED": numberKind, "BYTES_SENT": numberKind, "BYTES_RETRANSMITTED": numberKind, "PACKETS_RETRANSMITTED": numberKind,
	"REQUEST_HEADERS_BYTES": numberKind, "RESPONSE_HEADERS_BYTES": numberKind, "RESPONSE_TRAILERS_BYTES": numberKind,
	"DURATION": numberKind, "COMMON_DURATION": numberKind, "REQUEST_DURATION": numberKind, "REQUEST_TX_DURATION": numberKind,
	"RESPONSE_DURATION": numberKind, "RESPONSE_TX_DURATION": numberKind, "DOWNSTREAM_HANDSHAKE_DURATION": numberKind,
	"UPSTREAM_REQUEST_ATTEMPT_COUNT": numberKind, "CONNECTION_ID": numberKind, "UPSTREAM_CONNECTION_ID": numberKind,

	"PROTOCOL": wordKind, "UPSTREAM_PROTOCOL": wordKind,
	"RESPONSE_FLAGS": wordKind, "RESPONSE_FLAGS_LONG": wordKind, "ACCESS_LOG_TYPE": wordKind,
	// Control planes build cluster names of host names, ports and labels. A line with
	// another one is not read, rather than read wrongly.
	"UPSTREAM_CLUSTER": wordKind, "UPSTREAM_CLUSTER_RAW": wordKind,
	"UPSTREAM_HOST": addressKind,

	"RESPONSE_CODE_DETAILS": visibleKind, "REQUESTED_SERVER_NAME": visibleKind, "HOSTNAME": visibleKind,
}

// headerKinds are headers that Envoy checks or sets itself. It refuses requests whose
// method or authority has a space or a quote.
var headerKinds = map[string]valueKind{
	"REQ(:METHOD)":    wordKind,
	"REQ(:AUTHORITY)": wordKind,
	"REQ(:SCHEME)":    wordKind,
	"RESP(:STATUS)":   numberKind,

	"RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)": wordKind,
}

// kindOf returns what an operator's value is.
func kindOf(op Operator) valueKind {
	if op.isHeader() {
		return headerKinds[op.Name+"("+op.Arg+")"]
	}
	if kind, ok := kinds[op.Name]; ok {
		return kind
	}
	if !strings.HasPrefix(op.Name, "DOWNSTREAM_") && !strings.HasPrefix(op.Name, "UPSTREAM_") {
		return anyKind
	}
	switch {
	case strings.HasSuffix(op.Name, "_ADDRESS"):
		return addressKind
	case strings.HasSuffix(op.Name, "_ADDRESS_WITHOUT_PORT"):
		return bareAddressKind
	case strings.HasSuffix(op.Name, "_TLS_VERSION"), strings.HasSuffix(op.Name, "_TLS_CIPHER"):
		return wordKind
	case strings.HasSuffix(op.Name, "_PORT"), strings.Contains(op.Name, "_BYTES_"):
		return numberKind
	}
	return anyKind
}

// mayBeEmpty says whether an operator can write nothing: a header can be sent empty.
func mayBeEmpty(op Operator, kind valueKind) bool {
	return kind == anyKind || op.isHeader() && !strings.HasPrefix(op.Arg, ":")
}
