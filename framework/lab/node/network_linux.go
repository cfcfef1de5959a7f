package node

import (
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// setUpNetwork makes the bridge that is the node's only network. There is no default route and no other device, so
// nothing that runs in the lab can reach anything outside it.
func setUpNetwork() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback device: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("start the loopback device: %w", err)
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = Bridge
	// A bridge without an address of its own takes that of a port, and changes it as pods come and go.
	attributes.HardwareAddr = net.HardwareAddr{0x0a, 0x58, 0x0a, 0xf4, 0x00, 0x01}
	bridge := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make the bridge %s: %w", Bridge, err)
	}
	_, pods, err := net.ParseCIDR(PodCIDR)
	if err != nil {
		return err
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(NodeAddress), Mask: pods.Mask}}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return fmt.Errorf("give the bridge its address: %w", err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("start the bridge: %w", err)
	}
	// Without a route a packet to a Service's address is refused before kube-proxy's rules see it.
	for _, cidr := range []string{ServiceCIDR, LoadBalancerCIDR} {
		_, target, err := net.ParseCIDR(cidr)
		if err != nil {
			return err
		}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: target, Scope: unix.RT_SCOPE_LINK}); err != nil {
			return fmt.Errorf("route %s: %w", cidr, err)
		}
	}
	for name, value := range map[string]string{
		"net/ipv4/ip_forward": "1",
		// kube-proxy's rules must see what one pod sends to another over the bridge.
		"net/bridge/bridge-nf-call-iptables": "1",
	} {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s (is the kernel module br_netfilter there?): %w", name, err)
		}
	}
	return nil
}
