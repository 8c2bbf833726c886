package secrets

import (
	"context"
	"slices"
	"sync"
	"time"

	"bivy/exec"
)

// Resolver gets the values of secrets for commands. The zero value runs the
// programs of references each time.
type Resolver struct {
	// Keep is how long what a program gave is used again.
	Keep time.Duration

	mu   sync.Mutex
	kept map[string]given
}

// given is what a program gave.
type given struct {
	value []byte
	until time.Time
}

// Resolve returns the variables of commands on a host, as the user names it: the
// secrets for that host, in order, and the git identity before them. Those that
// skip names are left out, and not resolved. It returns all values that must not
// be shown, too: whatever is stored, wherever it is for, and what was resolved.
// An error is a *ReferenceError.
func (r *Resolver) Resolve(ctx context.Context, v *Vault, host string, skip func(name string) bool) ([]exec.EnvVar, []Value, error) {
	var vars []exec.EnvVar
	values := stored(v)
	if g := v.Git; g != nil && g.Hosts.Match(host) {
		token, err := g.token(ctx, r)
		if err != nil {
			return nil, nil, err
		}
		if g.Token != nil {
			values = append(values, Value{GitName, string(token)})
		}
		vars = g.env(token)
	}
	for _, s := range v.Secrets {
		if !s.Hosts.Match(host) || skip(s.Name) {
			continue
		}
		value := s.Value
		if s.From != nil {
			var err error
			if value, err = r.resolve(ctx, s.Name, *s.From); err != nil {
				return nil, nil, err
			}
			values = append(values, Value{s.Name, string(value)})
		}
		vars = append(vars, exec.EnvVar{Name: s.Name, Value: string(value)})
	}
	return slices.DeleteFunc(vars, func(v exec.EnvVar) bool { return skip(v.Name) }), values, nil
}

// Known are the values that can be had at no cost: what is stored, and what
// references to variables and files give now, if they give anything.
func (v *Vault) Known() []Value {
	values := stored(v)
	add := func(name string, from *Reference) {
		if from == nil || from.Kind == FromCmd {
			return
		}
		if value, err := from.resolve(context.Background(), name); err == nil {
			values = append(values, Value{name, string(value)})
		}
	}
	for _, s := range v.Secrets {
		add(s.Name, s.From)
	}
	if v.Git != nil {
		add(GitName, v.Git.Token)
	}
	return values
}

func stored(v *Vault) []Value {
	var values []Value
	for _, s := range v.Secrets {
		if s.From == nil {
			values = append(values, Value{s.Name, string(s.Value)})
		}
	}
	return values
}

// Variables are the names of the variables of ours that its secrets come from.
func (v *Vault) Variables() []string {
	var names []string
	add := func(from *Reference) {
		if from != nil && from.Kind == FromEnv {
			names = append(names, from.Text)
		}
	}
	for _, s := range v.Secrets {
		add(s.From)
	}
	if v.Git != nil {
		add(v.Git.Token)
	}
	return names
}

func (r *Resolver) resolve(ctx context.Context, name string, from Reference) ([]byte, error) {
	if from.Kind != FromCmd {
		return from.resolve(ctx, name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.kept[from.Text]; ok && time.Now().Before(known.until) {
		return known.value, nil
	}
	value, err := from.resolve(ctx, name)
	if err == nil && r.Keep > 0 {
		if r.kept == nil {
			r.kept = map[string]given{}
		}
		r.kept[from.Text] = given{value, time.Now().Add(r.Keep)}
	}
	return value, err
}
