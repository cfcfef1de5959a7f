package mesh

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/kube"
)

// adminPort is where every Istio proxy answers its administration, on its own loopback only.
const adminPort = 15000

// Proxy is the proxy of one pod, asked through a forwarded port, so that nothing has to run in the pod.
type Proxy struct {
	// Hop is the pattern's name for the workload, Namespace and Pod its pod.
	Hop, Namespace, Pod string
	// Address is the pod's IP address.
	Address string
	client  *kube.Client
	http    *http.Client
	mu      sync.Mutex
	admin   string
	ctx     context.Context
}

// NewProxy returns the proxy of a pod. Its forwarded port stays open until ctx ends.
func NewProxy(ctx context.Context, client *kube.Client, hop string, pod corev1.Pod) *Proxy {
	return &Proxy{
		Hop: hop, Namespace: pod.Namespace, Pod: pod.Name, Address: pod.Status.PodIP, client: client, ctx: ctx,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}},
	}
}

// String names the proxy as people do.
func (p *Proxy) String() string { return p.Namespace + "/" + p.Pod }

// get asks the administration; path begins with a slash.
func (p *Proxy) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	address, err := p.address()
	if err != nil {
		return nil, err
	}
	target := url.URL{Scheme: "http", Host: address, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := p.http.Do(request)
	if err != nil {
		p.forget()
		return nil, fmt.Errorf("ask proxy %s for %s: %w", p, path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("ask proxy %s for %s: %w", p, path, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask proxy %s for %s: %s: %s", p, path, response.Status, bytes.TrimSpace(body))
	}
	return body, nil
}

func (p *Proxy) address() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.admin != "" {
		return p.admin, nil
	}
	var err error
	p.admin, err = p.client.Forward(p.ctx, p.Namespace, p.Pod, adminPort)
	return p.admin, err
}

// forget drops a forwarded port that broke, so that the next question opens a new one.
func (p *Proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.admin = ""
}

// Dump asks for one kind of configuration, for example "dynamic_listeners", and returns the answer as it is: it may hold what
// was configured inline, secrets too. No name filter is used where Envoy would apply it to another field.
func (p *Proxy) Dump(ctx context.Context, resource string) ([]byte, error) {
	return p.get(ctx, "/config_dump", url.Values{"resource": {resource}})
}

// reading names the proxy in the error of an answer that cannot be read.
func (p *Proxy) reading(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read the answer of proxy %s: %w", p, err)
}

// Listeners returns the proxy's own listeners, those that are warming included.
func (p *Proxy) Listeners(ctx context.Context) ([]envoy.Listener, []byte, error) {
	data, err := p.Dump(ctx, "dynamic_listeners")
	if err != nil {
		return nil, nil, err
	}
	listeners, err := envoy.Listeners(data)
	return listeners, data, p.reading(err)
}

// Routes returns the route configurations that it got from the control plane.
func (p *Proxy) Routes(ctx context.Context) ([]envoy.RouteConfig, error) {
	data, err := p.Dump(ctx, "dynamic_route_configs")
	if err != nil {
		return nil, err
	}
	routes, err := envoy.Routes(data)
	return routes, p.reading(err)
}

// Clusters returns the clusters that it uses; those that are warming are left out, because they count as absent.
func (p *Proxy) Clusters(ctx context.Context) ([]envoy.Cluster, error) {
	data, err := p.Dump(ctx, "dynamic_active_clusters")
	if err != nil {
		return nil, err
	}
	clusters, err := envoy.Clusters(data)
	return clusters, p.reading(err)
}

// Endpoints returns the state of every host of every cluster.
func (p *Proxy) Endpoints(ctx context.Context) ([]envoy.ClusterStatus, error) {
	data, err := p.get(ctx, "/clusters", url.Values{"format": {"json"}})
	if err != nil {
		return nil, err
	}
	endpoints, err := envoy.ParseClusters(bytes.NewReader(data))
	return endpoints, p.reading(err)
}

// Stats returns the proxy's statistics.
func (p *Proxy) Stats(ctx context.Context) (envoy.Stats, error) {
	data, err := p.get(ctx, "/stats/prometheus", nil)
	if err != nil {
		return envoy.Stats{}, err
	}
	stats, err := envoy.ParseStats(bytes.NewReader(data))
	return stats, p.reading(err)
}

// ServerInfo returns the proxy's version and start.
func (p *Proxy) ServerInfo(ctx context.Context) (envoy.ServerInfo, error) {
	data, err := p.get(ctx, "/server_info", nil)
	if err != nil {
		return envoy.ServerInfo{}, err
	}
	info, err := envoy.ParseServerInfo(bytes.NewReader(data))
	return info, p.reading(err)
}

// Secrets returns the secrets that it has got; those that it waits for are left out, because they count as absent.
func (p *Proxy) Secrets(ctx context.Context) ([]envoy.Secret, error) {
	data, err := p.Dump(ctx, "dynamic_active_secrets")
	if err != nil {
		return nil, err
	}
	secrets, err := envoy.Secrets(data)
	return secrets, p.reading(err)
}

// TrustDomain is the one in the identity of the proxy's own certificate.
func (p *Proxy) TrustDomain(ctx context.Context) (string, error) {
	secrets, err := p.Secrets(ctx)
	if err != nil {
		return "", err
	}
	for _, secret := range secrets {
		for _, certificate := range secret.Certificates {
			for _, name := range certificate.URIs {
				if identity, err := url.Parse(name); err == nil && identity.Scheme == "spiffe" {
					return identity.Host, nil
				}
			}
		}
	}
	return "", fmt.Errorf("proxy %s has no certificate with a SPIFFE identity", p)
}
