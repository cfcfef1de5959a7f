package node

import (
	"fmt"
	"os"
	"path/filepath"
)

// writeConfigs writes the configuration files of the parts that are not configured by flags alone.
func writeConfigs(spec Spec) error {
	for path, content := range map[string]string{
		spec.file("containerd.toml"):           containerdConfig(spec),
		spec.file("kubelet.yaml"):              kubeletConfig(spec),
		spec.file("kube-proxy.yaml"):           proxyConfig(spec),
		spec.file("Corefile"):                  corefile(spec),
		spec.ResolvConf():                      resolvConf(),
		"/etc/cni/net.d/10-meshproof.conflist": cniConfig(),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// containerdConfig: restrict_oom_score_adj, because without CAP_SYS_RESOURCE runc cannot lower a score, and fails with
// "can't get final child's PID from pipe: EOF".
func containerdConfig(spec Spec) string {
	return fmt.Sprintf(`version = 2
root = %q
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`, spec.StoreDir(), spec.Artifacts.PauseImage)
}

func cniConfig() string {
	return fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "meshproof", "plugins": [
  {"type": "bridge", "bridge": %q, "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": %q, "gateway": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
`, Bridge, PodCIDR, NodeAddress)
}

// kubeletConfig: no image is ever collected (none could be pulled again), and nothing is evicted for the host's disk.
func kubeletConfig(spec Spec) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
clusterDNS: [%[2]s]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: %[3]q
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
evictionHard: {memory.available: 50Mi, nodefs.available: 0%%, nodefs.inodesFree: 0%%, imagefs.available: 0%%}
imageGCHighThresholdPercent: 100
maxPods: 250
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 200
kubeAPIBurst: 400
syncFrequency: 10s
nodeStatusUpdateFrequency: 10s
readOnlyPort: 0
healthzPort: 0
tlsCertFile: %[4]q
tlsPrivateKeyFile: %[5]q
rotateCertificates: false
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[6]q}
authorization: {mode: Webhook}
volumePluginDir: /var/lib/kubelet/volume-plugins
`, NodeAddress, DNSAddress, spec.Cgroup, spec.file("pki", "kubelet-server.crt"), spec.file("pki", "kubelet-server.key"), spec.file("pki", "ca.crt"))
}

// proxyConfig: conntrack's limits are the host's, which the lab leaves alone.
func proxyConfig(spec Spec) string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %q}
clusterCIDR: %s
mode: iptables
iptables: {minSyncPeriod: 0s, syncPeriod: 30s}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
healthzBindAddress: ""
metricsBindAddress: ""
`, spec.file("pki", "proxy.kubeconfig"), PodCIDR)
}

// corefile: every name of the apps domain leads to the router, by IPv4 only. Every name that is not the lab's does not exist,
// at once, because there is nobody to ask.
func corefile(spec Spec) string {
	return fmt.Sprintf(`.:53 {
    bind %[1]s
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {
        kubeconfig %[2]q
        ttl 1
    }
    k8s_external %[3]s {
        ttl 1
    }
    template IN A %[4]s {
        answer "{{ .Name }} 1 IN A %[5]s"
    }
    template ANY ANY %[4]s {
        rcode NOERROR
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
}
`, NodeAddress, spec.AdminKubeconfig(), LoadBalancerZone, AppsDomain, RouterAddress)
}

// resolvConf sends every name to the lab's own DNS.
func resolvConf() string {
	return "nameserver " + NodeAddress + "\nsearch svc.cluster.local cluster.local\noptions ndots:3 timeout:2\n"
}
