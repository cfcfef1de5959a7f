package v1_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// fullReport fills every field of the model, those included that contradict one another.
func fullReport() v1.Report {
	r := example.Report()
	r.Run.Interrupted, r.Run.Error = "SIGINT", "the lab went away"
	r.Patterns[1].Phases[0].Unfinished, r.Patterns[1].Hardened = true, true
	return r
}

// fullEvent fills every part of an event, which no single event of a real journal does.
func fullEvent() v1.Event {
	r := fullReport()
	p := r.Patterns[1]
	return v1.Event{
		SchemaVersion: v1.SchemaVersion, Time: example.At(1), Type: v1.Note, PatternName: p.Name, Run: &r.Run, Cluster: &r.Cluster, Pattern: &p,
		Phase: &p.Phases[0], Convergence: &p.Convergence[0], Claim: &p.Claims[2], Message: "m", Error: "e", Leftovers: []string{"l"},
	}
}

func TestSchemaAcceptsReportsAndEvents(t *testing.T) {
	report, event := compile(t, ""), compile(t, "#/$defs/event")
	for name, r := range map[string]v1.Report{"example": example.Report(), "full": fullReport(), "empty": v1.Fold(nil)} {
		if err := report.Validate(generic(t, r)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	events := example.Events()
	for n, e := range append(events, fullEvent()) {
		if err := event.Validate(generic(t, e)); err != nil {
			t.Errorf("event %d: %v", n, err)
		}
	}
	for n := range events {
		if err := report.Validate(generic(t, v1.Fold(events[:n]))); err != nil {
			t.Errorf("killed after %d events: %v", n, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	report := compile(t, "")
	for name, change := range map[string]func(*v1.Report){
		"another version":   func(r *v1.Report) { r.SchemaVersion = "meshproof.dev/report/v2" },
		"no verdict":        func(r *v1.Report) { r.Patterns[0].Claims[0].Verdict = "" },
		"unknown verdict":   func(r *v1.Report) { r.Patterns[0].Claims[0].Verdict = "fine" },
		"negative time":     func(r *v1.Report) { r.Patterns[0].Phases[0].Seconds = -1 },
		"negative count":    func(r *v1.Report) { r.Patterns[0].Claims[0].Probes = -1 },
		"nameless pattern":  func(r *v1.Report) { r.Patterns[0].Name = "" },
		"claims as null":    func(r *v1.Report) { r.Patterns[0].Claims = nil },
		"claim without ID":  func(r *v1.Report) { r.Patterns[0].Claims[0].ID = "" },
		"odd judgement":     func(r *v1.Report) { r.Patterns[0].Claims[0].Judgements[0].Verdict = "" },
		"evidence is empty": func(r *v1.Report) { r.Patterns[0].Claims[0].Evidence[0].Items = nil },
	} {
		r := fullReport()
		change(&r)
		if err := report.Validate(generic(t, r)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSchemaRequires takes every required field out of a full document, one at a time, wherever it occurs.
func TestSchemaRequires(t *testing.T) {
	tried := map[string]bool{}
	for ref, document := range map[string]any{"": generic(t, fullReport()), "#/$defs/event": generic(t, fullEvent())} {
		schema := compile(t, ref)
		visit(schema, document, func(at *jsonschema.Schema, object map[string]any) {
			for _, field := range at.Required {
				kept := object[field]
				delete(object, field)
				if schema.Validate(document) == nil {
					t.Errorf("%s: accepted without %s", at.Location, field)
				}
				object[field] = kept
				tried[definition(at)+"."+field] = true
			}
		})
	}
	for name, def := range definitions(t) {
		for _, field := range def.Required {
			if !tried[name+"."+field] {
				t.Errorf("%s.%s occurs in no example", name, field)
			}
		}
	}
}

// TestSchemaMatchesModel compares the schema's definitions with the Go types, by name and by JSON field, both ways.
func TestSchemaMatchesModel(t *testing.T) {
	types := map[string]reflect.Type{}
	collect(reflect.TypeFor[v1.Report](), types)
	collect(reflect.TypeFor[v1.Event](), types)
	for name, def := range definitions(t) {
		typ, ok := types[name]
		if len(def.Properties) == 0 {
			continue
		}
		if !ok {
			t.Errorf("definition %s has no Go type", name)
			continue
		}
		delete(types, name)
		var fields, required []string
		for i := range typ.NumField() {
			tag, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			fields = append(fields, tag)
			if !strings.Contains(options, "omit") {
				required = append(required, tag)
			}
		}
		compareNames(t, name+": properties", fields, slices.Collect(maps.Keys(def.Properties)))
		compareNames(t, name+": required", required, def.Required)
	}
	for name := range types {
		t.Errorf("type %s has no definition", name)
	}
}

// TestFullReportIsFull keeps fullReport honest: a field that it leaves out would be validated by no test.
func TestFullReportIsFull(t *testing.T) {
	seen := map[string]bool{}
	var mark func(v reflect.Value)
	mark = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			mark(v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				mark(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() && !v.Field(i).IsZero() {
					seen[v.Type().Name()+"."+f.Name] = true
					mark(v.Field(i))
				}
			}
		}
	}
	mark(reflect.ValueOf(fullEvent()))
	mark(reflect.ValueOf(fullReport()))
	types := map[string]reflect.Type{}
	collect(reflect.TypeFor[v1.Report](), types)
	collect(reflect.TypeFor[v1.Event](), types)
	for _, typ := range types {
		for i := range typ.NumField() {
			if name := typ.Name() + "." + typ.Field(i).Name; !seen[name] {
				t.Errorf("%s is set nowhere", name)
			}
		}
	}
}

const schemaURL = "https://meshproof.dev/schemas/report-v1.json"

func compile(t *testing.T, fragment string) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(v1.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(schemaURL, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(schemaURL + fragment)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// definitions returns the schema's own $defs by name.
func definitions(t *testing.T) map[string]struct {
	Properties map[string]any `json:"properties"`
	Required   []string       `json:"required"`
} {
	t.Helper()
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
			Required   []string       `json:"required"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(v1.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	return schema.Defs
}

// visit calls do for every object in value that the schema describes, with the schema that describes it.
func visit(schema *jsonschema.Schema, value any, do func(*jsonschema.Schema, map[string]any)) {
	for schema.Ref != nil {
		schema = schema.Ref
	}
	switch value := value.(type) {
	case map[string]any:
		do(schema, value)
		for name, property := range schema.Properties {
			if v, ok := value[name]; ok {
				visit(property, v, do)
			}
		}
	case []any:
		if schema.Items2020 != nil {
			for _, v := range value {
				visit(schema.Items2020, v, do)
			}
		}
	}
}

func definition(s *jsonschema.Schema) string {
	return s.Location[strings.LastIndexByte(s.Location, '/')+1:]
}

// collect adds the model's struct types below typ, under the names that the schema gives them.
func collect(typ reflect.Type, into map[string]reflect.Type) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		collect(typ.Elem(), into)
	case reflect.Struct:
		name := strings.ToLower(typ.Name()[:1]) + typ.Name()[1:]
		if typ == reflect.TypeFor[time.Time]() || into[name] != nil {
			return
		}
		into[name] = typ
		for i := range typ.NumField() {
			collect(typ.Field(i).Type, into)
		}
	}
}

func compareNames(t *testing.T, what string, model, schema []string) {
	t.Helper()
	slices.Sort(model)
	slices.Sort(schema)
	if !slices.Equal(model, schema) {
		t.Errorf("%s differ\nmodel:  %v\nschema: %v", what, model, schema)
	}
}

// generic returns v as encoding/json sees it.
func generic(t *testing.T, v any) any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(mustJSON(t, v)))
	if err != nil {
		t.Fatal(err)
	}
	return document
}
