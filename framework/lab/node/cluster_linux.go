package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab/build"
)

// Time limits of the start of each part, on two busy cores; each is far above what was measured, and says only that
// something is wrong.
const (
	partTimeout   = 60 * time.Second
	nodeTimeout   = 120 * time.Second
	istiodTimeout = 180 * time.Second
)

// cluster starts the parts in their order.
type cluster struct {
	spec   Spec
	parts  *parts
	report func(step string, work func() (string, error)) error
}

// start returns when the node is ready, the mesh accepts and injects pods, and Routes are served.
func (c *cluster) start(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	runtimeUp := make(chan struct{})
	group.Go(func() error {
		return c.report("containerd", func() (string, error) {
			defer close(runtimeUp)
			_, err := c.startContainerd(groupCtx)
			return "", err
		})
	})
	group.Go(func() error {
		if err := c.report("etcd", func() (string, error) { return "", c.startEtcd(groupCtx) }); err != nil {
			return err
		}
		if err := c.report("kube-apiserver", func() (string, error) { return "", c.startAPIServer(groupCtx) }); err != nil {
			return err
		}
		return c.startRest(groupCtx, group, runtimeUp)
	})
	return group.Wait()
}

// startRest starts what needs an API server; its steps run side by side.
func (c *cluster) startRest(ctx context.Context, group *errgroup.Group, runtimeUp <-chan struct{}) error {
	config, err := clientcmd.BuildConfigFromFlags("", c.spec.AdminKubeconfig())
	if err != nil {
		return err
	}
	client, err := kube.New(config)
	if err != nil {
		return err
	}
	if err := c.startControllers(); err != nil {
		return err
	}
	go func() {
		// The allocator ends with the node; a failure of its watch is in the supervisor's log, and the next one goes on.
		if err := allocateLoadBalancers(context.WithoutCancel(ctx), client.Typed); err != nil {
			fmt.Fprintln(os.Stderr, "load balancer addresses:", err)
		}
	}()
	group.Go(func() error {
		return c.report("node", func() (string, error) {
			select {
			case <-runtimeUp:
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
			return "ready", c.startKubelet(ctx, client)
		})
	})
	group.Go(func() error {
		return c.report("dns", func() (string, error) { return "", c.startDNS(ctx, client) })
	})
	group.Go(func() error { return c.startMeshes(ctx, client) })
	group.Go(func() error {
		return c.report("router", func() (string, error) { return "ready", installRouter(ctx, client, c.spec) })
	})
	return nil
}

// startMeshes installs the revisions one after another: the first makes the authority that all of them issue for.
func (c *cluster) startMeshes(ctx context.Context, client *kube.Client) error {
	var installed []string
	for _, mesh := range c.spec.Artifacts.Meshes {
		step := "istiod"
		if name := mesh.Revision.Name; name != build.DefaultRevision {
			step += " " + name
		}
		if err := c.report(step, func() (string, error) { return "ready", InstallMesh(ctx, client, mesh, installed) }); err != nil {
			return err
		}
		installed = append(installed, mesh.Revision.Istio.Version)
	}
	return nil
}

func (c *cluster) startContainerd(ctx context.Context) (*part, error) {
	// Sockets, shims and mounts of an earlier node died with its namespaces.
	containerd, err := c.parts.start("containerd", "/usr/bin/containerd", "--config", c.spec.file("containerd.toml"))
	if err != nil {
		return nil, err
	}
	return containerd, containerd.await(ctx, func(ctx context.Context) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "unix", "/run/containerd/containerd.sock")
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (c *cluster) startEtcd(ctx context.Context) error {
	etcd, err := c.parts.start("etcd", "/usr/bin/etcd", "--name", "lab", "--data-dir", c.spec.file("etcd"),
		"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
		"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
		"--initial-cluster", "lab=http://127.0.0.1:2380", "--logger", "zap", "--log-level", "warn",
		// A lab that loses power is thrown away, so nothing waits for the disk.
		"--unsafe-no-fsync", "--snapshot-count", "5000")
	if err != nil {
		return err
	}
	return etcd.await(ctx, httpOK(http.DefaultClient, "http://127.0.0.1:2379/health"))
}

func (c *cluster) startAPIServer(ctx context.Context) error {
	pki := func(name string) string { return filepath.Join(c.spec.CertificateDir(), name) }
	args := []string{
		"--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443", "--bind-address=0.0.0.0", "--advertise-address=" + NodeAddress,
		"--service-cluster-ip-range=" + ServiceCIDR, "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--client-ca-file=" + pki("ca.crt"), "--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--kubelet-client-certificate=" + pki("apiserver-to-kubelet.crt"), "--kubelet-client-key=" + pki("apiserver-to-kubelet.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--service-account-key-file=" + pki("service-accounts.pub"),
		"--service-account-signing-key-file=" + pki("service-accounts.key"),
		"--requestheader-client-ca-file=" + pki("ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + pki("front-proxy.crt"), "--proxy-client-key-file=" + pki("front-proxy.key"),
		"--allow-privileged=true", "--profiling=false",
	}
	if c.spec.Artifacts.Selection.Kubernetes.BetaPolicies {
		args = append(args, "--feature-gates=MutatingAdmissionPolicy=true", "--runtime-config=admissionregistration.k8s.io/v1beta1=true")
	}
	apiserver, err := c.parts.start("kube-apiserver", c.program("kube-apiserver"), args...)
	if err != nil {
		return err
	}
	client, err := c.apiClient()
	if err != nil {
		return err
	}
	return apiserver.await(ctx, httpOK(client, insideServer()+"/readyz"))
}

func (c *cluster) startControllers() error {
	pki := func(name string) string { return filepath.Join(c.spec.CertificateDir(), name) }
	_, err := c.parts.start("kube-controller-manager", c.program("kube-controller-manager"),
		"--kubeconfig="+pki("controller-manager.kubeconfig"), "--leader-elect=false", "--use-service-account-credentials=true",
		"--root-ca-file="+pki("ca.crt"), "--service-account-private-key-file="+pki("service-accounts.key"),
		"--cluster-signing-cert-file="+pki("ca.crt"), "--cluster-signing-key-file="+pki("ca.key"),
		"--controllers=*,-node-ipam-controller,-node-route-controller,-cloud-node-lifecycle-controller,-service-lb-controller",
		"--profiling=false", "--kube-api-qps=200", "--kube-api-burst=400", "--concurrent-namespace-syncs=20")
	if err != nil {
		return err
	}
	_, err = c.parts.start("kube-scheduler", c.program("kube-scheduler"),
		"--kubeconfig="+pki("scheduler.kubeconfig"), "--leader-elect=false", "--profiling=false", "--kube-api-qps=200", "--kube-api-burst=400")
	if err != nil {
		return err
	}
	_, err = c.parts.start("kube-proxy", c.program("kube-proxy"), "--config="+c.spec.file("kube-proxy.yaml"), "--hostname-override="+NodeName)
	return err
}

func (c *cluster) startKubelet(ctx context.Context, client *kube.Client) error {
	_, err := c.parts.start("kubelet", c.program("kubelet"), "--config="+c.spec.file("kubelet.yaml"),
		"--kubeconfig="+filepath.Join(c.spec.CertificateDir(), "kubelet.kubeconfig"), "--hostname-override="+NodeName, "--node-ip="+NodeAddress,
		"--root-dir=/var/lib/kubelet")
	if err != nil {
		return err
	}
	return client.Wait(ctx, kube.Selection{Resource: kube.Nodes, Name: NodeName}, "to be Ready", nodeTimeout, kube.HasCondition("Ready", 1))
}

func (c *cluster) startDNS(ctx context.Context, client *kube.Client) error {
	dns, err := c.parts.start("coredns", filepath.Join(c.spec.Artifacts.CoreDNS, "coredns"), "-conf", c.spec.file("Corefile"))
	if err != nil {
		return err
	}
	objects, err := kube.Decode("the lab's DNS service", []byte(dnsService()))
	if err != nil {
		return err
	}
	for _, object := range objects {
		if _, err := client.Apply(ctx, object, true); err != nil {
			return err
		}
	}
	return dns.await(ctx, httpOK(http.DefaultClient, "http://127.0.0.1:8181/ready"))
}

// program is one of the names of the Kubernetes multi-call program.
func (c *cluster) program(name string) string {
	return filepath.Join(c.spec.Artifacts.Kubernetes, name)
}

func (c *cluster) apiClient() (*http.Client, error) {
	pki := c.spec.CertificateDir()
	certificate, err := tls.LoadX509KeyPair(filepath.Join(pki, "admin.crt"), filepath.Join(pki, "admin.key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{certificate}}}}, nil
}

// httpOK is a check that url answers 200.
func httpOK(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, 2<<10))
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s: %s", url, response.Status, body)
		}
		return nil
	}
}

// dnsService gives the lab's DNS, which runs on the node, the Service that pods expect.
func dnsService() string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns, kubernetes.io/name: CoreDNS}}
spec:
  clusterIP: %[1]s
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-node, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: [%[2]s], conditions: {ready: true}}]
ports:
- {name: dns, port: 53, protocol: UDP}
- {name: dns-tcp, port: 53, protocol: TCP}
`, DNSAddress, NodeAddress)
}
