package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec/file"
)

const writeText = "Writes a text file as a whole, and makes the directories above it. Whatever happens, the file has the old content or the new. " +
	"A file that was read, written or edited by this server before must not have changed since; any other is replaced."

type writeIn struct {
	Where
	Path    string `json:"file_path" jsonschema:"The file, relative to the workspace."`
	Content string `json:"content" jsonschema:"What the file is to hold, as it is."`
}

type writeOut struct {
	file.Name
	SHA256  string `json:"sha256" jsonschema:"The SHA-256 of what the file holds now."`
	Length  int64  `json:"length" jsonschema:"In bytes."`
	Created bool   `json:"created" jsonschema:"There was no such file before."`
	remarks
}

// remarks are what people want to know of a write beside its success.
type remarks struct {
	OwnerChanged bool `json:"owner_changed" jsonschema:"It belonged to somebody else before."`
	LinksBroken  bool `json:"links_broken" jsonschema:"It had other names (hard links), which keep the old content."`
}

func (r remarks) text() string {
	text := ""
	if r.OwnerChanged {
		text += "\nit belonged to somebody else before"
	}
	if r.LinksBroken {
		text += "\nit had other names (hard links), which keep the old content"
	}
	return text
}

func (o writeOut) blocks() []string {
	what := "replaced"
	if o.Created {
		what = "created"
	}
	return []string{fmt.Sprintf("%s %s: %d bytes, sha256 %s", what, shown(o.String()), o.Length, o.SHA256) + o.text()}
}

// write is the tool write_file.
func (s *server) write(ctx context.Context, _ *sdk.CallToolRequest, in writeIn) (*writeOut, error) {
	if in.Path == "" {
		return nil, usage("file_path is empty")
	}
	if err := refuseSecrets(in.Path, in.Content); err != nil {
		return nil, err
	}
	p, err := s.place(in.Workspace)
	if err != nil {
		return nil, err
	}
	files, err := s.fs(p, in.Path)
	if err != nil {
		return nil, err
	}
	key := fileKey(p, in.Path)
	release, err := s.memory.hold(ctx, key)
	if err != nil {
		return nil, err
	}
	defer release()
	known, _ := s.memory.recall(key)
	done, err := overwrite(ctx, files, in, known.SHA256)
	if err != nil {
		s.gone(key, err)
		return nil, err
	}
	s.remember(key, []byte(in.Content))
	return &writeOut{named(in.Path), done.SHA256, done.Length, done.Created, remarks{done.OwnerChanged, done.LinksBroken}}, nil
}

// overwrite writes a file, which must have that hash where one is known. A host
// that cannot compare it sends the file, so that we can: not in one step, but
// people expect no less of such a host.
func overwrite(ctx context.Context, files *file.FS, in writeIn, sum string) (file.Written, error) {
	done, err := files.Write(ctx, in.Path, []byte(in.Content), file.WriteOptions{IfMatch: sum})
	var lacks *file.HostLacksError
	if sum == "" || !errors.As(err, &lacks) {
		return done, err
	}
	c, err := files.Read(ctx, in.Path, file.ReadOptions{Max: file.MaxEdit})
	if err != nil {
		return done, err
	}
	if c.SHA256 != sum {
		return done, &file.PreconditionError{Host: files.Runner.Host(), Path: in.Path, Want: sum, Have: c.SHA256}
	}
	return files.Write(ctx, in.Path, []byte(in.Content), file.WriteOptions{})
}

// gone forgets a file that is not there any more: there is nothing to protect.
func (s *server) gone(key string, err error) {
	var changed *file.PreconditionError
	if isKind(err, file.NotFound) || errors.As(err, &changed) && changed.Have == "" {
		s.memory.forget(key)
	}
}

// remember takes note of what a file holds after a write.
func (s *server) remember(key string, data []byte) {
	sum := sha256.Sum256(data)
	c := file.Content{Data: data, Length: int64(len(data)), Whole: true, SHA256: hex.EncodeToString(sum[:])}
	c.Size = c.Length
	s.memory.remember(key, c)
}
