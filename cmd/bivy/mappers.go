package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// mappers replace two of kong's: its strings travel through JSON, which
// changes bytes that are not UTF-8, and its durations take a bare number for
// nanoseconds.
func mappers() []kong.Option {
	return []kong.Option{
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration)),
	}
}

func decodeString(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	text, ok := token.Value.(string)
	if !ok {
		return fmt.Errorf("expected text in quotes but got %v", token.Value)
	}
	target.SetString(text)
	return nil
}

func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("duration")
	if err != nil {
		return err
	}
	text, ok := token.Value.(string)
	if !ok {
		return fmt.Errorf("expected a duration in quotes, with its unit, such as \"60s\", but got %v", token.Value)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("expected a duration with its unit, such as 60s or 10m, but got %q", text)
	}
	if d < 0 {
		return fmt.Errorf("a duration of %s lies in the past", d)
	}
	target.SetInt(int64(d))
	return nil
}
