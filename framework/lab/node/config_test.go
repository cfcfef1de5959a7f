package node

import (
	"encoding/json"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// specs are of a folder as most people have it, and of one that would mean something in every file format.
var specs = map[string]Spec{
	"plain":  {StateDir: "/root/.local/state/meshproof/lab/default", Cgroup: "/meshproof-default", Artifacts: build.Artifacts{PauseImage: "meshproof.local/pause:1"}},
	"quoted": {StateDir: `/home/Ann, Bob: #1 {"x"}/lab/default`, Cgroup: "/a, b", Artifacts: build.Artifacts{PauseImage: "meshproof.local/pause:1"}},
}

// fields reads YAML strictly.
func fields(t *testing.T, text string) map[string]any {
	t.Helper()
	read := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &read); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return read
}

// at is the value at a path of keys.
func at(t *testing.T, tree map[string]any, keys ...string) any {
	t.Helper()
	for _, key := range keys[:len(keys)-1] {
		below, ok := tree[key].(map[string]any)
		if !ok {
			t.Fatalf("%s is %v, want fields", key, tree[key])
		}
		tree = below
	}
	return tree[keys[len(keys)-1]]
}

func TestConfigsAreWhole(t *testing.T) {
	for name, spec := range specs {
		for file, text := range map[string]string{
			"containerd": containerdConfig(spec), "kubelet": kubeletConfig(spec), "proxy": proxyConfig(spec), "Corefile": corefile(spec), "CNI": cniConfig(), "resolv.conf": resolvConf(),
		} {
			if strings.Contains(text, "%!") || strings.Contains(text, "(MISSING)") || !strings.HasSuffix(text, "\n") {
				t.Errorf("%s of %s is not filled in:\n%s", file, name, text)
			}
		}
	}
}

func TestKubeletConfig(t *testing.T) {
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			config := fields(t, kubeletConfig(spec))
			for want, got := range map[string]any{
				"KubeletConfiguration":          config["kind"],
				"kubelet.config.k8s.io/v1beta1": config["apiVersion"],
				NodeAddress:                     config["address"],
				spec.Cgroup:                     config["cgroupRoot"],
				spec.CertificateDir() + "/kubelet-server.crt": config["tlsCertFile"],
				spec.CertificateDir() + "/kubelet-server.key": config["tlsPrivateKeyFile"],
				spec.CertificateDir() + "/ca.crt":             at(t, config, "authentication", "x509", "clientCAFile"),
				"0%":                                          at(t, config, "evictionHard", "nodefs.available"),
				"Webhook":                                     at(t, config, "authorization", "mode"),
				"unix:///run/containerd/containerd.sock":      config["containerRuntimeEndpoint"],
			} {
				if got != want {
					t.Errorf("%v, want %s", got, want)
				}
			}
			if diff := cmp.Diff([]any{DNSAddress}, config["clusterDNS"]); diff != "" {
				t.Errorf("DNS (-want +got):\n%s", diff)
			}
			if anonymous := at(t, config, "authentication", "anonymous", "enabled"); anonymous != false {
				t.Errorf("anonymous access: %v", anonymous)
			}
		})
	}
}

func TestProxyConfig(t *testing.T) {
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			config := fields(t, proxyConfig(spec))
			if config["kind"] != "KubeProxyConfiguration" || config["clusterCIDR"] != PodCIDR || at(t, config, "clientConnection", "kubeconfig") != path.Join(spec.StateDir, "pki/proxy.kubeconfig") {
				t.Errorf("%v", config)
			}
			// 0 leaves the host's own limits as they are.
			if diff := cmp.Diff(map[string]any{"maxPerCore": 0.0, "min": 0.0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}, config["conntrack"]); diff != "" {
				t.Errorf("conntrack (-want +got):\n%s", diff)
			}
		})
	}
}

// tomlLine is a line of the TOML that the lab writes: a table, or a key with a string, a truth value, a number, or a list.
var tomlLine = regexp.MustCompile(`^\s*(\[[a-z]+(\."[a-z0-9.]+"|\.[a-z0-9]+)*\]|([a-zA-Z_]+) = (".*"|true|false|[0-9]+|\["[^\]]*"\]))$`)

func TestContainerdConfig(t *testing.T) {
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			values := map[string]string{}
			for line := range strings.Lines(containerdConfig(spec)) {
				match := tomlLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
				if match == nil {
					t.Errorf("%q is no TOML", line)
					continue
				}
				if text, err := strconv.Unquote(match[4]); err == nil {
					values[match[3]] = text
				}
			}
			for key, want := range map[string]string{"root": spec.StoreDir(), "sandbox_image": spec.Artifacts.PauseImage, "snapshotter": "overlayfs", "address": "/run/containerd/containerd.sock"} {
				if values[key] != want {
					t.Errorf("%s = %q, want %q", key, values[key], want)
				}
			}
		})
	}
}

func TestCNIConfig(t *testing.T) {
	var config struct {
		CNIVersion, Name string
		Plugins          []struct {
			Type, Bridge string
			IsGateway    bool
			IPAM         struct {
				Type   string
				Ranges [][]struct{ Subnet, Gateway string }
				Routes []struct{ Dst string }
			}
			Capabilities map[string]bool
		}
	}
	if err := json.Unmarshal([]byte(cniConfig()), &config); err != nil {
		t.Fatal(err)
	}
	bridge := config.Plugins[0]
	if bridge.Type != "bridge" || bridge.Bridge != Bridge || !bridge.IsGateway || bridge.IPAM.Ranges[0][0].Subnet != PodCIDR || bridge.IPAM.Ranges[0][0].Gateway != NodeAddress {
		t.Errorf("%+v, want pods to have addresses of %s behind %s", bridge, PodCIDR, NodeAddress)
	}
	if len(config.Plugins) != 2 || config.Plugins[1].Type != "portmap" {
		t.Errorf("plugins %+v", config.Plugins)
	}
}

// corefileTokens reads a Corefile as its lexer does: words, or text in quotes, in which \" is a quote.
var corefileTokens = regexp.MustCompile(`"((?:\\.|[^"\\])*)"|\S+`)

func TestCorefile(t *testing.T) {
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			depth, values := 0, map[string][]string{}
			for line := range strings.Lines(corefile(spec)) {
				var words []string
				for _, match := range corefileTokens.FindAllStringSubmatch(line, -1) {
					word := match[0]
					if strings.HasPrefix(word, `"`) {
						word = strings.ReplaceAll(match[1], `\"`, `"`)
					}
					words = append(words, word)
				}
				if words[len(words)-1] == "{" {
					depth++
				}
				if words[0] == "}" {
					depth--
				}
				values[words[0]] = words[1:]
			}
			if depth != 0 {
				t.Errorf("%d braces are not closed", depth)
			}
			for key, want := range map[string][]string{
				"bind": {NodeAddress}, "kubeconfig": {spec.AdminKubeconfig()}, "k8s_external": {LoadBalancerZone, "{"}, "answer": {"{{ .Name }} 1 IN A " + RouterAddress},
				"template": {"ANY", "ANY", "{"}, "rcode": {"NXDOMAIN"}, // the last of each: what is no name of the lab's
			} {
				if diff := cmp.Diff(want, values[key]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", key, diff)
				}
			}
		})
	}
}

func TestResolvConf(t *testing.T) {
	words := map[string][]string{}
	for line := range strings.Lines(resolvConf()) {
		split := strings.Fields(line)
		words[split[0]] = split[1:]
	}
	if diff := cmp.Diff([]string{NodeAddress}, words["nameserver"]); diff != "" {
		t.Errorf("name servers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"nameserver", "options", "search"}, slices.Sorted(maps.Keys(words))); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
