//go:build lab

package basicgateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// suffix keeps the namespaces of these tests apart from those of others.
const suffix = "evidence"

// judged runs the pattern, and wants it proven whole, or, where remedy is not empty, inconclusive with a reason and a remedy
// that hold these texts, at the claims that are given.
func judged(t *testing.T, why, remedy string, args ...string) v1.Report {
	t.Helper()
	results := t.TempDir()
	result := labtest.Run(t, append([]string{"run", "basic-gateway", "--suffix", suffix, "--results", results}, args...)...)
	report := labtest.Report(t, results)
	counts := v1.Summary(report)
	if remedy == "" {
		if result.Code != 0 || counts.Passed != counts.Selected {
			t.Errorf("exit %d, %+v\n%s%s", result.Code, counts, labtest.Unproven(report), result.Stderr)
		}
		return report
	}
	if result.Code != v1.ExitInconclusive || counts.Inconclusive == 0 || counts.Failed > 0 {
		t.Errorf("exit %d, %+v\n%s%s", result.Code, counts, labtest.Unproven(report), result.Stderr)
	}
	for _, claim := range report.Patterns[0].Claims {
		if claim.Verdict == v1.Inconclusive && (!strings.Contains(claim.Summary, why) || !strings.Contains(claim.Remedy, remedy) || claim.Cause != "evidence-missing") {
			t.Errorf("%s is inconclusive (%s): %s; remedy: %s; want %q and %q", claim.Alias, claim.Cause, claim.Summary, claim.Remedy, why, remedy)
		}
	}
	if told := strings.Join(strings.Fields(result.Stdout), " "); !strings.Contains(told, remedy) {
		t.Errorf("the terminal does not tell the remedy %q:\n%s", remedy, result.Stdout)
	}
	return report
}

// lineOf is the first access-log line in the report's evidence.
func lineOf(t *testing.T, report v1.Report) string {
	t.Helper()
	for _, claim := range report.Patterns[0].Claims {
		for _, evidence := range claim.Evidence {
			for _, item := range evidence.Items {
				if line := item.Fields["line"]; line != "" {
					return line
				}
			}
		}
	}
	t.Fatal("the report holds no access-log line")
	return ""
}

func overlay(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// bare leaves the gateway's namespace to what the mesh has.
const bare = `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: meshproof-evidence, namespace: "${control_plane_namespace}"}
spec: {accessLogging: []}
`

// rootTelemetry is that of the root namespace, which every namespace of the mesh inherits.
func rootTelemetry(logging string) string {
	return `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh-default, namespace: istio-system}
spec: {accessLogging: [{providers: [{name: envoy}], ` + logging + `}]}
`
}

// TestEvidenceIsBroughtAlong: whatever the mesh says of access logs, the fixtures' own Telemetry wins in their namespaces.
func TestEvidenceIsBroughtAlong(t *testing.T) {
	t.Run("no access log in the mesh", func(t *testing.T) {
		labtest.SetMesh(t, map[string]any{"accessLogFile": ""})
		judged(t, "", "")
	})
	t.Run("disabled in the root namespace", func(t *testing.T) {
		labtest.Apply(t, rootTelemetry("disabled: true"))
		judged(t, "", "")
	})
	t.Run("a filter in the root namespace", func(t *testing.T) {
		labtest.Apply(t, rootTelemetry(`filter: {expression: "response.code >= 500"}`))
		judged(t, "", "")
		// Without it, the mesh's word is seen to hold, and what is to be done is told.
		judged(t, "writes only some access-log lines (response.code >= 500)", "Telemetry that switches on accessLogging", "--claim", "BG1,BG2", "--overlay", overlay(t, bare))
	})
}

// otherOrder is a format with all that is needed, not as Istio has it.
const otherOrder = "other %REQ(X-REQUEST-ID)% %UPSTREAM_HOST% %DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_CLUSTER_RAW% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %RESPONSE_CODE% " +
	"\"%REQ(USER-AGENT)%\" %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %START_TIME%\n"

// TestAnyFormatIsRead: the format is the mesh's, for the fixtures' provider too, and is read from the proxies.
func TestAnyFormatIsRead(t *testing.T) {
	for name, test := range map[string]struct {
		mesh  map[string]any
		begin string
	}{
		"JSON":              {map[string]any{"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON"}, "{"},
		"text, other order": {map[string]any{"accessLogFile": "/dev/stdout", "accessLogFormat": otherOrder}, "other "},
	} {
		t.Run(name, func(t *testing.T) {
			labtest.SetMesh(t, test.mesh)
			if line := lineOf(t, judged(t, "", "")); !strings.HasPrefix(line, test.begin) {
				t.Errorf("the log is not in the mesh's format: %s", line)
			}
		})
	}
}

// TestMissingOperatorIsNamed: without the request ID, nothing joins the hops.
func TestMissingOperatorIsNamed(t *testing.T) {
	labtest.SetMesh(t, map[string]any{"accessLogFormat": strings.ReplaceAll(accesslog.IstioDefault, "%REQ(X-REQUEST-ID)%", "none")})
	judged(t, "lacks %REQ(X-REQUEST-ID)%", "add %REQ(X-REQUEST-ID)%")
}

// TestNoListenerLogIsNamed: a refused connection has no other line.
func TestNoListenerLogIsNamed(t *testing.T) {
	labtest.SetMesh(t, map[string]any{"disableEnvoyListenerLog": true})
	judged(t, "writes no line for a connection that no filter chain takes", "disableEnvoyListenerLog", "--claim", "BG7")
}

// TestMissingStatisticsAreNamed: Istio publishes statistics of clusters only where a pod asks for them.
func TestMissingStatisticsAreNamed(t *testing.T) {
	judged(t, "publish no upstream_", "proxyStatsMatcher", "--claim", "BG2,BG3", "--overlay", overlay(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: custom-ingressgateway, namespace: "${control_plane_namespace}"}
spec: {template: {metadata: {annotations: {proxy.istio.io/config: "terminationDrainDuration: 1s"}}}}
`))
}

// twoMoreLogs adds to every proxy of the mesh the log that it has, once more, and another one in another format.
const twoMoreLogs = `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: more-logs, namespace: istio-system}
spec:
  configPatches:
  - applyTo: NETWORK_FILTER
    match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}
    patch:
      operation: MERGE
      value:
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: /dev/stdout
              log_format: {text_format_source: {inline_string: TEXT}}
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: {text_format_source: {inline_string: OTHER}}
`

// TestSeveralLogsAreOneRequest: three lines for each request are no repetition.
func TestSeveralLogsAreOneRequest(t *testing.T) {
	quote := func(text string) string {
		return `"` + strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(text) + `"`
	}
	labtest.Apply(t, strings.NewReplacer("TEXT", quote(accesslog.IstioDefault), "OTHER", quote(otherOrder)).Replace(twoMoreLogs))
	report := judged(t, "", "", "--keep")
	t.Cleanup(func() { labtest.MustRun(t, "clean") })
	namespace := report.Patterns[0].Parameters["control_plane_namespace"]
	client := labtest.Client(t)
	pods, err := client.Typed.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=custom-ingressgateway"})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d gateways, error %v", len(pods.Items), err)
	}
	log, err := client.Typed.CoreV1().Pods(namespace).GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	probe := report.Patterns[0].Claims[0].Evidence[0].Probe
	lines := 0
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, probe+`"`) { // in the User-Agent
			lines++
		}
	}
	if lines != 3 {
		t.Errorf("the gateway wrote %d lines for %s, so that nothing was to be counted once", lines, probe)
	}
}
