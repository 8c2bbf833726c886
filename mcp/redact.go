package mcp

import (
	"reflect"

	"bivy/secrets"
)

// redact takes secrets out of all texts of a result. Most of it has none.
func redact(r *secrets.Redactor, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		redact(r, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			redact(r, v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			redact(r, v.Index(i))
		}
	case reflect.String:
		if text := v.String(); v.CanSet() {
			if shown := r.Text(text); shown != text {
				v.SetString(shown)
			}
		}
	default: // no text, and results have no maps
	}
}
