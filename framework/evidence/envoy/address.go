package envoy

import (
	"net"
	"net/netip"
	"strconv"
)

// Address is where a listener listens or a host is reached: an IP address or name
// with a port, a pipe, or a listener inside the proxy itself.
type Address struct {
	Host     string // IP address or DNS name, without brackets
	Port     uint16
	Pipe     string // path of a Unix socket
	Internal string // "listener" or "listener/endpoint" of an internal address
}

// String returns the address as access logs write it: "10.0.0.1:80", "[::1]:80",
// "/var/run/x.sock", "envoy://name/endpoint"; the empty string for no address.
func (a Address) String() string {
	switch {
	case a.Pipe != "":
		return a.Pipe
	case a.Internal != "":
		return "envoy://" + a.Internal
	case a.Host != "":
		return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
	}
	return ""
}

// AddrPort returns the IP address and port; false for names, pipes and internal
// addresses.
func (a Address) AddrPort() (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(a.Host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), a.Port), true
}

// addressJSON is envoy.config.core.v3.Address.
type addressJSON struct {
	Socket *struct {
		Address string `json:"address"`
		Port    count  `json:"port_value"`
	} `json:"socket_address"`
	Pipe *struct {
		Path string `json:"path"`
	} `json:"pipe"`
	Internal *struct {
		Listener string `json:"server_listener_name"`
		Endpoint string `json:"endpoint_id"`
	} `json:"envoy_internal_address"`
}

func (j addressJSON) address() Address {
	switch {
	case j.Socket != nil:
		return Address{Host: j.Socket.Address, Port: uint16(j.Socket.Port)}
	case j.Pipe != nil:
		return Address{Pipe: j.Pipe.Path}
	case j.Internal != nil:
		name := j.Internal.Listener
		if j.Internal.Endpoint != "" {
			name += "/" + j.Internal.Endpoint
		}
		return Address{Internal: name}
	}
	return Address{}
}
