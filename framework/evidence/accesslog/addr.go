package accesslog

import (
	"net/netip"
	"strings"
)

// AddrPort reads an address as Envoy logs it: "10.0.0.1:80", "[::1]:80", also behind
// "tcp://". False for "-", pipes, internal addresses ("envoy://...") and names. An IPv4
// address in IPv6 form becomes IPv4, so that addresses compare.
func AddrPort(address string) (netip.AddrPort, bool) {
	address = strings.TrimPrefix(address, "tcp://")
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(parsed.Addr().Unmap(), parsed.Port()), true
}

// UpstreamHostAddr is UpstreamHost as AddrPort reads it.
func (l Line) UpstreamHostAddr() (netip.AddrPort, bool) { return AddrPort(l.UpstreamHost) }

// UpstreamLocalAddr is UpstreamLocal as AddrPort reads it: what the next hop sees as its
// peer, unless something between them changes addresses.
func (l Line) UpstreamLocalAddr() (netip.AddrPort, bool) { return AddrPort(l.UpstreamLocal) }

// DownstreamLocalAddr is DownstreamLocal as AddrPort reads it.
func (l Line) DownstreamLocalAddr() (netip.AddrPort, bool) { return AddrPort(l.DownstreamLocal) }

// DownstreamRemoteAddr is DownstreamRemote as AddrPort reads it. Port 0 shows that the
// address comes from X-Forwarded-For, and is no end of a connection.
func (l Line) DownstreamRemoteAddr() (netip.AddrPort, bool) { return AddrPort(l.DownstreamRemote) }
