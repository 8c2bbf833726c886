package transfer

import (
	"context"
	"strings"
	"time"

	"bivy/exec/file"
	"bivy/exec/frame"
	"bivy/exec/mux"
)

// receiving is one Get.
type receiving struct {
	*Place
	Options
	lease  *mux.Lease
	path   string
	local  string
	name   string // what it is called in a directory; empty for the content of one
	dialog *dialog
	meta   string
	digest string // what hashes there, if that is known in advance
	info   file.Info
}

// Get carries a file or a directory from the host to local, which is what it
// shall be called, or a directory that it shall go into.
//
// A file that is there is replaced and keeps its mode, and a symbolic link is
// followed; a new one gets the mode that it has on the host, less our umask. A
// directory that is there gets what it does not have, and files of the same name
// are replaced one by one: nothing is removed. Special files are left out, and so
// are links that lead out of the tree.
func (p *Place) Get(ctx context.Context, path, local string, o Options) (Result, error) {
	began := time.Now()
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = DefaultMaxFiles
	}
	lease, err := p.Masters.LeaseSoon(ctx, p.Target)
	if err != nil {
		return Result{}, err
	}
	defer lease.Release()
	r := &receiving{Place: p, Options: o, lease: lease, path: path, local: local, name: remoteName(path)}
	r.dialog = p.talk(ctx, lease, "get", path, "bivy_get", frame.Strip(getScript), o.Hurry, path)
	defer r.dialog.close(ctx)
	done, err := r.get(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		return Result{}, unchanged(p.host(), err)
	}
	done.Took = time.Since(began)
	return done, nil
}

func (r *receiving) get(ctx context.Context) (Result, error) {
	known, err := r.dialog.wait(ctx, "open")
	if err != nil {
		return Result{}, err
	}
	info, ok := file.ParseInfo(known["meta"])
	if !ok || info.Size < 0 {
		return Result{}, r.odd("get", "it does not say what the file is")
	}
	r.info, r.meta, r.digest = info, known["meta"], known["digest"]
	if known["type"] == string(file.Dir) {
		return r.tree(ctx)
	}
	return r.file(ctx, known["far"])
}

// remoteName is the name that something from the host gets in a directory here.
// A home directory has none that is known here, and so means its content.
func remoteName(path string) string {
	name := nameOf(path)
	if strings.HasPrefix(path, "~") && !strings.Contains(strings.TrimRight(path, "/"), "/") {
		return ""
	}
	return name
}

func (r *receiving) tell(p Progress) {
	if r.Progress != nil {
		r.Progress(p)
	}
}
