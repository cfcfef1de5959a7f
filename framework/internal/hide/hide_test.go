package hide

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestSecretsAreHiddenByTheirNames(t *testing.T) {
	object := map[string]any{
		"metadata": map[string]any{"name": "page", "annotations": map[string]any{lastApplied: "{...}", "note": "kept"}},
		"spec": map[string]any{
			"headers": map[string]any{"request": map[string]any{"set": map[string]any{"Cookie": "session=x", "x-plan": "gold", "AUTHORIZATION": "Basic eA=="}}},
			"match":   []any{map[string]any{"headers": map[string]any{"cookie": map[string]any{"exact": "a=b"}}}},
			"env": []any{
				map[string]any{"name": "DB_PASSWORD", "value": "x"}, map[string]any{"name": "MODE", "value": "fast"},
				map[string]any{"name": "API_TOKEN", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "api", "key": "token"}}},
			},
			"filter": map[string]any{"client_secret": "x", "clientSecret": "y", "private-key": "z", "token": map[string]any{"seconds": int64(3)}},
		},
	}
	want := map[string]any{
		"metadata": map[string]any{"name": "page", "annotations": map[string]any{lastApplied: v1.Redacted, "note": "kept"}},
		"spec": map[string]any{
			"headers": map[string]any{"request": map[string]any{"set": map[string]any{"Cookie": v1.Redacted, "x-plan": "gold", "AUTHORIZATION": v1.Redacted}}},
			"match":   []any{map[string]any{"headers": map[string]any{"cookie": map[string]any{"exact": v1.Redacted}}}},
			"env": []any{
				map[string]any{"name": "DB_PASSWORD", "value": v1.Redacted}, map[string]any{"name": "MODE", "value": "fast"},
				map[string]any{"name": "API_TOKEN", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "api", "key": "token"}}},
			},
			"filter": map[string]any{"client_secret": v1.Redacted, "clientSecret": v1.Redacted, "private-key": v1.Redacted, "token": map[string]any{"seconds": int64(3)}},
		},
	}
	if diff := cmp.Diff(want, Values(object)); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
	if object["metadata"].(map[string]any)["annotations"].(map[string]any)[lastApplied] == v1.Redacted {
		t.Error("the object itself was changed")
	}
}
