package envoy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// State is where a dynamic resource stands in the proxy that reported it.
type State string

// The states of a resource.
const (
	// Active resources serve traffic; static ones are active from the start.
	Active State = "active"
	// Warming resources wait for something they need, and serve nothing yet.
	Warming State = "warming"
	// Draining listeners accept nothing new and let old connections end.
	Draining State = "draining"
	// Refused resources exist only as an update that the proxy rejected.
	Refused State = "refused"
	// Unstated is the state of a cluster or secret in the answer to
	// /config_dump?resource=...: such an answer lists what was asked for, active or
	// warming, without repeating which.
	Unstated State = ""
)

// ListenerConfig is one listener as a configuration dump holds it.
type ListenerConfig struct {
	Name   string
	State  State
	Static bool
	// JSON is the listener's own object. It is a view into the dump and may hold
	// anything that was configured inline: read it, do not keep it.
	JSON json.RawMessage
}

// ListenerConfigs returns every listener of a dump in the dump's order, one entry
// per state, for readers that need more than Listeners keeps. It takes a full
// /config_dump and the answers to ?resource=dynamic_listeners and
// ?resource=static_listeners. An error says which entry could not be read.
func ListenerConfigs(configDump []byte) ([]ListenerConfig, error) {
	found, err := listenerKind.read(configDump)
	if err != nil {
		return nil, err
	}
	var out []ListenerConfig
	for _, r := range found {
		var entry listenerEntry
		if err := r.decode(&entry); err != nil {
			return nil, err
		}
		for _, s := range entry.states(r) {
			out = append(out, ListenerConfig{Name: s.name, State: s.state, Static: r.static, JSON: s.listener})
		}
	}
	return out, nil
}

// resourceKind says where a dump keeps one kind of resource.
type resourceKind struct {
	what  string // for errors: "listeners"
	dump  string // message of the full dump: "ListenersConfigDump"
	lists []resourceList
	items []resourceItem
}

// resourceList is a list inside the full dump's message.
type resourceList struct {
	field  string
	state  State
	static bool
}

// resourceItem is a message that stands by itself in the answer to ?resource=.
type resourceItem struct {
	message string
	state   State
	static  bool
}

// resource is one entry of a dump that is still undecoded.
type resource struct {
	where  string
	state  State
	static bool
	raw    json.RawMessage
}

func (r resource) decode(into any) error {
	if err := json.Unmarshal(r.raw, into); err != nil {
		return fmt.Errorf("envoy: configuration dump: %s: %w", r.where, err)
	}
	return nil
}

// read returns the entries of one kind. A dump without any entry is an empty
// answer; a dump that holds only single resources of other kinds is the answer
// to another question, and an error.
func (k resourceKind) read(dump []byte) ([]resource, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(dump, &top); err != nil {
		return nil, fmt.Errorf("envoy: configuration dump: %w", err)
	}
	raw, ok := top["configs"]
	if !ok {
		if len(top) == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("envoy: configuration dump: no \"configs\" in it, this is not an answer of /config_dump")
	}
	var configs []json.RawMessage
	if err := json.Unmarshal(raw, &configs); err != nil {
		return nil, fmt.Errorf("envoy: configuration dump: configs: %w", err)
	}
	var out []resource
	var others []string
	matched := false
	for i, config := range configs {
		message, err := messageOf(config)
		if err != nil {
			return nil, fmt.Errorf("envoy: configuration dump: configs[%d]: %w", i, err)
		}
		if message == k.dump {
			matched = true
			found, err := k.readFull(config)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
			continue
		}
		item, ok := k.item(message)
		if ok {
			matched = true
			out = append(out, resource{
				where: fmt.Sprintf("configs[%d], a %s", i, message),
				state: item.state, static: item.static, raw: config,
			})
			continue
		}
		others = append(others, message)
	}
	if !matched && onlySingleResources(others) {
		return nil, fmt.Errorf("envoy: configuration dump: no %s in it, only %s: it answers another question", k.what, others[0])
	}
	return out, nil
}

func (k resourceKind) readFull(config json.RawMessage) ([]resource, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		return nil, fmt.Errorf("envoy: configuration dump: %s: %w", k.dump, err)
	}
	var out []resource
	for _, list := range k.lists {
		raw, ok := fields[list.field]
		if !ok {
			continue
		}
		var entries []json.RawMessage
		if err := json.Unmarshal(raw, &entries); err != nil {
			return nil, fmt.Errorf("envoy: configuration dump: %s: %w", list.field, err)
		}
		for i, entry := range entries {
			out = append(out, resource{
				where: fmt.Sprintf("%s[%d]", list.field, i),
				state: list.state, static: list.static, raw: entry,
			})
		}
	}
	return out, nil
}

func (k resourceKind) item(message string) (resourceItem, bool) {
	for _, item := range k.items {
		if item.message == message {
			return item, true
		}
	}
	return resourceItem{}, false
}

// messageOf returns a config's @type without the type URL and the admin package:
// "ListenersConfigDump.DynamicListener".
func messageOf(config json.RawMessage) (string, error) {
	var head struct {
		Type string `json:"@type"`
	}
	if err := json.Unmarshal(config, &head); err != nil {
		return "", err
	}
	name := head.Type[strings.LastIndexByte(head.Type, '/')+1:]
	if rest, ok := strings.CutPrefix(name, "envoy.admin."); ok {
		if _, message, ok := strings.Cut(rest, "."); ok {
			return message, nil
		}
	}
	return name, nil
}

func onlySingleResources(messages []string) bool {
	if len(messages) == 0 {
		return false
	}
	for _, m := range messages {
		if !strings.Contains(m, "ConfigDump.") {
			return false
		}
	}
	return true
}
