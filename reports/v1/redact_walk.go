package v1

import (
	"reflect"
	"time"
)

// Event returns a deep copy of e without secrets.
func (r *Redactor) Event(e Event) Event {
	return r.walk(reflect.ValueOf(e)).Interface().(Event)
}

// Report returns a deep copy of report without secrets.
func (r *Redactor) Report(report Report) Report {
	return r.walk(reflect.ValueOf(report)).Interface().(Report)
}

var (
	plainString = reflect.TypeFor[string]()
	timeOfDay   = reflect.TypeFor[time.Time]()
)

// walk copies v. Only the plain string type is redacted: EventType and Verdict are enumerations, no free text, and a
// secret that happens to be "failed" must not turn a verdict into none.
func (r *Redactor) walk(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == plainString {
			return reflect.ValueOf(r.String(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			copied := reflect.New(v.Type().Elem())
			copied.Elem().Set(r.walk(v.Elem()))
			return copied
		}
	case reflect.Struct:
		if v.Type() != timeOfDay {
			copied := reflect.New(v.Type()).Elem()
			for i := range v.NumField() {
				copied.Field(i).Set(r.walk(v.Field(i)))
			}
			return copied
		}
	case reflect.Slice:
		if !v.IsNil() {
			copied := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			for i := range v.Len() {
				copied.Index(i).Set(r.walk(v.Index(i)))
			}
			return copied
		}
	case reflect.Map:
		if !v.IsNil() {
			copied := reflect.MakeMapWithSize(v.Type(), v.Len())
			for entries := v.MapRange(); entries.Next(); {
				copied.SetMapIndex(r.walk(entries.Key()), r.walk(entries.Value()))
			}
			return copied
		}
	}
	return v
}
