package mux

import "context"

func (l *Lease) Responsive(context.Context) bool { return true }
func (l *Lease) Replace(context.Context) error   { return nil }
