package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/framework/kube"
)

// dockerConfig is the content of a docker config.json, of which the kubelet reads only the credentials themselves.
type dockerConfig struct {
	Auths map[string]struct {
		Auth          string `json:"auth,omitempty"`
		Username      string `json:"username,omitempty"`
		Password      string `json:"password,omitempty"`
		IdentityToken string `json:"identitytoken,omitempty"`
		RegistryToken string `json:"registrytoken,omitempty"`
	} `json:"auths"`
}

func parseDockerConfig(data []byte) (dockerConfig, error) {
	var config dockerConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return config, errors.New("it is no docker config.json") // the words of the decoder could hold some of it
	}
	for _, entry := range config.Auths {
		if entry.Auth+entry.Password+entry.IdentityToken+entry.RegistryToken != "" {
			return config, nil
		}
	}
	return config, errors.New("it holds no credentials (auths); what a credential helper keeps is of no use to a cluster")
}

// PullSecretFromFile reads a docker config.json that holds credentials.
func PullSecretFromFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("read the pull secret: %w", err)
	}
	if _, err := parseDockerConfig(data); err != nil {
		return nil, usage("the pull secret %s: %w", path, err)
	}
	return data, nil
}

// PullSecretFromCluster reads a Secret with which images are pulled, and returns it as a docker config.json. One that is not
// there, or is of another type, is a UsageError.
func PullSecretFromCluster(ctx context.Context, client *kube.Client, namespace, name string) ([]byte, error) {
	secret, err := client.Typed.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, usage("there is no pull secret %s/%s on the cluster, and no such file", namespace, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the pull secret %s/%s: %w", namespace, name, err)
	}
	var data []byte
	switch secret.Type {
	case corev1.SecretTypeDockerConfigJson:
		data = secret.Data[corev1.DockerConfigJsonKey]
	case corev1.SecretTypeDockercfg: // the auths alone
		data, err = json.Marshal(map[string]json.RawMessage{"auths": secret.Data[corev1.DockerConfigKey]})
		if err != nil {
			return nil, usage("the pull secret %s/%s: it is damaged", namespace, name)
		}
	default:
		return nil, usage("the Secret %s/%s is of type %s, and images are pulled with %s or %s", namespace, name, secret.Type, corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg)
	}
	if _, err := parseDockerConfig(data); err != nil {
		return nil, usage("the pull secret %s/%s: %w", namespace, name, err)
	}
	return data, nil
}

// Secrets are what the cluster's pull secret holds that no report may show.
func (c *Cluster) Secrets() []string {
	if c == nil || len(c.PullSecret) == 0 {
		return nil
	}
	secrets := []string{string(c.PullSecret)}
	config, err := parseDockerConfig(c.PullSecret)
	if err != nil {
		return secrets
	}
	for _, entry := range config.Auths {
		for _, secret := range []string{entry.Auth, entry.Password, entry.IdentityToken, entry.RegistryToken} {
			if len(secret) >= minSecret {
				secrets = append(secrets, secret)
			}
		}
	}
	return secrets
}

// minSecret is the length from which a text can be taken out of reports without destroying them; auth holds a shorter
// password, too.
const minSecret = 4
