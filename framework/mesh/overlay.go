package mesh

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/kube"
)

// Overlay changes objects by the overlay at path, which is a kustomization folder, or a YAML file of patches and new
// objects: an object whose kind, namespace and name are there is a strategic merge patch of it, any other must carry
// AddAnnotation and is added.
// ${name} in the files is replaced as in manifests. A patch that names nothing is an error.
func Overlay(objects []*unstructured.Unstructured, overlayPath string, values map[string]string) ([]*unstructured.Unstructured, error) {
	info, err := os.Stat(overlayPath)
	if err != nil {
		return nil, fmt.Errorf("read the overlay: %w", err)
	}
	if info.IsDir() {
		return kustomize(objects, overlayPath, func(memory filesys.FileSystem) error {
			return copyFolder(memory, overlayPath, values)
		})
	}
	data, err := os.ReadFile(overlayPath)
	if err != nil {
		return nil, fmt.Errorf("read the overlay: %w", err)
	}
	return OverlayText(objects, overlayPath, string(data), values)
}

// OverlayText is Overlay with the text of an overlay file; name stands for it in errors.
func OverlayText(objects []*unstructured.Unstructured, name, text string, values map[string]string) ([]*unstructured.Unstructured, error) {
	return kustomize(objects, name, func(memory filesys.FileSystem) error {
		return writeOverlay(memory, name, text, objects, values)
	})
}

// kustomize builds the kustomization that write puts into /overlay, whose base are the objects.
func kustomize(objects []*unstructured.Unstructured, name string, write func(filesys.FileSystem) error) ([]*unstructured.Unstructured, error) {
	memory := filesys.MakeFsInMemory()
	if err := writeObjects(memory, "/base/objects.yaml", objects); err != nil {
		return nil, err
	}
	if err := memory.WriteFile("/base/kustomization.yaml", []byte("resources: [objects.yaml]\n")); err != nil {
		return nil, err
	}
	if err := write(memory); err != nil {
		return nil, err
	}
	result, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/overlay")
	if err != nil {
		return nil, fmt.Errorf("apply the overlay %s: %w", name, err)
	}
	data, err := result.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("apply the overlay %s: %w", name, err)
	}
	return kube.Decode(name, data)
}

func writeObjects(memory filesys.FileSystem, name string, objects []*unstructured.Unstructured) error {
	var buffer bytes.Buffer
	for _, object := range objects {
		data, err := yaml.Marshal(object.Object)
		if err != nil {
			return fmt.Errorf("write %s: %w", kube.Describe(object), err)
		}
		buffer.WriteString("---\n")
		buffer.Write(data)
	}
	return memory.WriteFile(name, buffer.Bytes())
}

// copyFolder brings a kustomization folder into memory and puts the pattern's objects under its resources.
func copyFolder(memory filesys.FileSystem, folder string, values map[string]string) error {
	found := ""
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("read the overlay: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return fmt.Errorf("read the overlay: %w", err)
		}
		text, err := substitute(filepath.Join(folder, entry.Name()), string(data), values, map[string]bool{})
		if err != nil {
			return err
		}
		name := entry.Name()
		if name == "kustomization.yaml" || name == "kustomization.yml" || name == "Kustomization" {
			found = name
			if text, err = addBase(filepath.Join(folder, name), text); err != nil {
				return err
			}
		}
		if err := memory.WriteFile("/overlay/"+name, []byte(text)); err != nil {
			return err
		}
	}
	if found == "" {
		return fmt.Errorf("the overlay %s holds no kustomization.yaml", folder)
	}
	return nil
}

func addBase(name, text string) (string, error) {
	var kustomization types.Kustomization
	if err := yaml.UnmarshalStrict([]byte(text), &kustomization); err != nil {
		return "", fmt.Errorf("%s is not a kustomization: %w", name, err)
	}
	kustomization.Resources = append([]string{"../base"}, kustomization.Resources...)
	data, err := yaml.Marshal(kustomization)
	return string(data), err
}

// writeOverlay sorts the objects of a file overlay into patches and additions.
func writeOverlay(memory filesys.FileSystem, file, given string, objects []*unstructured.Unstructured, values map[string]string) error {
	text, err := substitute(file, given, values, map[string]bool{})
	if err != nil {
		return err
	}
	// A mutant is an overlay with a header.
	if rest, isMutant := strings.CutPrefix(text, mutantHeader); isMutant {
		_, text, _ = strings.Cut(rest, "\n---\n")
	}
	changes, err := kube.Decode(file, []byte(text))
	if err != nil {
		return fmt.Errorf("the overlay is not a file of Kubernetes objects: %w", err)
	}
	there := map[string]bool{}
	for _, object := range objects {
		there[overlayKey(object)] = true
	}
	kustomization := types.Kustomization{Resources: []string{"../base"}}
	var added []*unstructured.Unstructured
	for index, object := range changes {
		if !there[overlayKey(object)] {
			added = append(added, object)
			continue
		}
		patch, err := yaml.Marshal(object.Object)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("patch-%d.yaml", index)
		if err := memory.WriteFile("/overlay/"+name, patch); err != nil {
			return err
		}
		kustomization.Patches = append(kustomization.Patches, types.Patch{Path: name})
	}
	for _, object := range added {
		if object.GetAnnotations()[AddAnnotation] == "" {
			return fmt.Errorf("the overlay %s changes %s, which the pattern does not have (to add it, annotate it with %s: \"true\")", file, kube.Describe(object), AddAnnotation)
		}
	}
	if len(added) > 0 {
		kustomization.Resources = append(kustomization.Resources, "added.yaml")
		if err := writeObjects(memory, "/overlay/added.yaml", added); err != nil {
			return err
		}
	}
	out, err := yaml.Marshal(kustomization)
	if err != nil {
		return err
	}
	return memory.WriteFile("/overlay/kustomization.yaml", out)
}

// mutantHeader begins the first document of a mutant's file, which is for package prove.
const mutantHeader = "apiVersion: meshproof.dev/v1\nkind: Mutant\n"

// AddAnnotation marks an object of an overlay file as new, so that a patch with a mistyped name is not taken for one.
const AddAnnotation = "meshproof.dev/add"

func overlayKey(object *unstructured.Unstructured) string {
	return object.GroupVersionKind().GroupKind().String() + " " + object.GetNamespace() + "/" + object.GetName()
}
