package v1_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestConfigurationsAreWrittenAndLoadedInTheOrderOfThePath(t *testing.T) {
	folder := t.TempDir()
	want := []v1.Configuration{
		{
			SchemaVersion: v1.ConfigurationSchemaVersion, Hop: "sidecar", Position: 1, Proxies: 2,
			Clusters: []v1.ConfigurationEntry{{Name: "outbound|80||a", Proxies: 2, Digest: "d", Value: map[string]any{"name": "outbound|80||a", "weight": 1.0}}},
			Secrets:  []v1.ConfigurationEntry{{Name: "default", Proxies: 2, Digest: "e", Expires: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}},
		},
		{SchemaVersion: v1.ConfigurationSchemaVersion, Hop: "gateway", Position: 2, Proxies: 1, Listeners: []v1.ConfigurationEntry{{Name: "0.0.0.0_80", Proxies: 1, Digest: "f"}}},
	}
	for _, c := range want {
		c.SchemaVersion = "" // which is written all the same
		if err := v1.WriteConfiguration(folder, c); err != nil {
			t.Fatal(err)
		}
	}
	got, err := v1.LoadConfigurations(folder)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

func TestNoConfigurationIsNoError(t *testing.T) {
	if got, err := v1.LoadConfigurations(t.TempDir()); len(got) > 0 || err != nil {
		t.Errorf("%v, error %v", got, err)
	}
}

func TestConfigurationsThatCannotBeLoaded(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"not JSON":            {"hello", "gateway.json: it is no configuration of a hop: "},
		"another version":     {`{"schemaVersion": "meshproof.dev/configuration/v9", "hop": "gateway"}`, `"meshproof.dev/configuration/v9" is not known here, only "meshproof.dev/configuration/v1"`},
		"no version":          {`{"hop": "gateway"}`, "it has no schemaVersion"},
		"a hop without name":  {`{"schemaVersion": "meshproof.dev/configuration/v1"}`, "gateway.json: it names no hop"},
		"a report by mistake": {`{"schemaVersion": "meshproof.dev/report/v1"}`, `only "meshproof.dev/configuration/v1"`},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := errors.Join(os.Mkdir(filepath.Join(folder, v1.ConfigurationFolder), 0o755), os.WriteFile(filepath.Join(folder, v1.ConfigurationFolder, "gateway.json"), []byte(test.content), 0o644)); err != nil {
				t.Fatal(err)
			}
			if _, err := v1.LoadConfigurations(folder); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestConfigurationThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := v1.WriteConfiguration(file, v1.Configuration{Hop: "gateway"}); err == nil || !strings.Contains(err.Error(), "writing the configuration of hop gateway: ") {
		t.Errorf("error %v", err)
	}
}
