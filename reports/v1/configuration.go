package v1

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// ConfigurationSchemaVersion is the value of Configuration.SchemaVersion.
const ConfigurationSchemaVersion = "meshproof.dev/configuration/v1"

// ConfigurationFolder is the folder, inside that of a pattern, with the configuration of each hop as <hop>.json.
const ConfigurationFolder = "configuration"

// Configuration is what the proxies of one hop were configured to do when they had settled, before any probe. It is
// normalised: what differs from run to run though nothing was changed has a name instead, or is left out, so that two of
// them are equal when they do the same. It holds no key and no secret, and nothing that belongs to others in the mesh.
type Configuration struct {
	SchemaVersion string `json:"schemaVersion"`
	Hop           string `json:"hop"`
	// Position is the hop's place on the pattern's path; the first has 1.
	Position int `json:"position"`
	// Proxies is how many proxies the hop has.
	Proxies   int                  `json:"proxies"`
	Listeners []ConfigurationEntry `json:"listeners,omitempty"`
	Routes    []ConfigurationEntry `json:"routes,omitempty"`
	Clusters  []ConfigurationEntry `json:"clusters,omitempty"`
	// Secrets are the certificates that TLS uses: their names, issuer and expiry.
	Secrets []ConfigurationEntry `json:"secrets,omitempty"`
}

// ConfigurationEntry is one listener, route configuration, cluster or secret. Where the proxies of a hop have different ones
// of one name, each is an entry of its own.
type ConfigurationEntry struct {
	Name string `json:"name"`
	// Proxies is how many of the hop's proxies have it so.
	Proxies int `json:"proxies"`
	// Digest is equal exactly when the value is.
	Digest string `json:"digest"`
	// Value is absent where it was too large to be kept.
	Value map[string]any `json:"value,omitempty"`
	// Expires is when the first certificate of a secret does. It is no part of the digest: every run has its own.
	Expires time.Time `json:"expires,omitzero"`
}

// WriteConfiguration writes the configuration of a hop into the folder of its pattern.
func WriteConfiguration(patternFolder string, c Configuration) error {
	folder := filepath.Join(patternFolder, ConfigurationFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("writing the configuration of hop %s: %w", c.Hop, err)
	}
	c.SchemaVersion = ConfigurationSchemaVersion
	data, err := encode(c, " ")
	if err == nil {
		err = replaceFile(filepath.Join(folder, c.Hop+".json"), data)
	}
	if err != nil {
		return fmt.Errorf("writing the configuration of hop %s: %w", c.Hop, err)
	}
	return nil
}

// LoadConfigurations returns what WriteConfiguration has written into the folder of a pattern, in the order of the path. It is
// empty for a run that has kept none; a file in another version is a *VersionError.
func LoadConfigurations(patternFolder string) ([]Configuration, error) {
	files, err := filepath.Glob(filepath.Join(patternFolder, ConfigurationFolder, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("loading the configuration of the proxies: %w", err)
	}
	var all []Configuration
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("loading the configuration of a hop: %w", err)
		}
		var c Configuration
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("loading %s: it is no configuration of a hop: %w", file, err)
		}
		if c.SchemaVersion != ConfigurationSchemaVersion {
			return nil, fmt.Errorf("loading %s: %w", file, &VersionError{Found: c.SchemaVersion, Known: ConfigurationSchemaVersion})
		}
		if c.Hop == "" {
			return nil, fmt.Errorf("loading %s: %w", file, errors.New("it names no hop"))
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b Configuration) int { return a.Position - b.Position })
	return all, nil
}
