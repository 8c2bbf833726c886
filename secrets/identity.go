package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"bivy/internal/atomicfile"
	"bivy/internal/termsafe"
)

const (
	// identityName is the identity that is made where the user names none.
	identityName = "identity"
	// maxIdentity bounds what is read of an identity's file, in bytes.
	maxIdentity = 64 << 10
)

// IdentityError says why an identity cannot be used. It holds nothing of it.
type IdentityError struct {
	File string
	// Why is the end of a sentence.
	Why string
	Err error
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("cannot use the identity %s: %s", e.File, e.Why)
}

// Unwrap returns what lies beneath, or nil.
func (e *IdentityError) Unwrap() error { return e.Err }

// errNobody is why an identity that asks cannot be used without a terminal.
var errNobody = errors.New("it asks for something, and nobody is there to answer (--batch, or no terminal)")

// key opens stores and closes them.
type key struct {
	age.Identity
	recipient age.Recipient
	file      string
	// asked is what became of questions: the libraries swallow it.
	asked *error
	// outside says that it takes a plugin or a passphrase, which may fail.
	outside bool
}

// file is where the identity is.
func (s *Store) identityFile() string {
	if s.Identity != "" {
		return s.Identity
	}
	return filepath.Join(s.Dir, identityName)
}

// identity reads the identity. The one that is kept here is made if it may be,
// and never where there is something that another one has encrypted.
func (s *Store) identity(mayMake bool) ([]key, error) {
	if s.keys != nil {
		return s.keys, nil
	}
	file := s.identityFile()
	data, err := readPrivate(file)
	if errors.Is(err, fs.ErrNotExist) && s.Identity == "" {
		if !mayMake || len(s.Projects()) > 0 {
			return nil, &IdentityError{file, "it is missing, and there are secrets that it alone can open; bring it back from a copy, or move " + s.Dir + " away and set them anew", err}
		}
		data, err = s.makeIdentity(file)
	}
	if err != nil {
		return nil, err
	}
	keys, err := s.parseIdentity(file, data)
	if err != nil {
		return nil, err
	}
	s.keys = keys
	return keys, nil
}

// makeIdentity writes a new identity. Two projects may do that at once, so it
// has a lock of its own.
func (s *Store) makeIdentity(file string) ([]byte, error) {
	unlock, err := s.lock(context.Background(), "."+identityName)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if data, err := readPrivate(file); !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	made, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, &IdentityError{file, "cannot make one: " + err.Error(), err}
	}
	data := []byte("# bivy's own age identity: it opens the secrets beside it\n" + made.String() + "\n")
	if err := atomicfile.Write(file, data, 0o600); err != nil {
		return nil, &IdentityError{file, "cannot write it: " + err.Error(), err}
	}
	return data, nil
}

// readPrivate reads a file that nobody else may read.
func readPrivate(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, &IdentityError{file, why(err), err}
	}
	defer f.Close() //nolint:errcheck // opened for reading only
	info, err := f.Stat()
	if err != nil {
		return nil, &IdentityError{file, why(err), err}
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, &IdentityError{File: file, Why: "it is no ordinary file"}
	case !ok || int64(stat.Uid) != int64(os.Geteuid()):
		return nil, &IdentityError{File: file, Why: "it belongs to another user"}
	case info.Mode().Perm()&0o077 != 0:
		return nil, &IdentityError{File: file, Why: fmt.Sprintf("its mode is %#o, open to other users; look who could have read it, then chmod 600", info.Mode().Perm())}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return nil, &IdentityError{file, why(err), err}
	}
	return data, nil
}

// parseIdentity reads age identities, those of plugins, or an ssh key.
func (s *Store) parseIdentity(file string, data []byte) ([]key, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) {
		k, err := s.sshKey(file, data)
		return []key{k}, err
	}
	var keys []key
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		k, err := s.ageKey(file, line)
		if err != nil {
			// What the library says may hold the line.
			return nil, &IdentityError{File: file, Why: "it holds neither an age identity, nor one of an age plugin, nor an ssh private key"}
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, &IdentityError{File: file, Why: "it holds no identity"}
	}
	return keys, nil
}

func (s *Store) ageKey(file, line string) (key, error) {
	k := key{file: file, asked: new(error)}
	if strings.HasPrefix(line, "AGE-PLUGIN-") {
		i, err := plugin.NewIdentity(line, s.pluginUI(k.asked))
		if err != nil {
			return k, err
		}
		k.Identity, k.recipient, k.outside = i, i.Recipient(), true
		return k, nil
	}
	all, err := age.ParseIdentities(strings.NewReader(line))
	if err != nil {
		return k, err
	}
	k.Identity = all[0]
	switch i := all[0].(type) {
	case *age.X25519Identity:
		k.recipient = i.Recipient()
	case *age.HybridIdentity:
		k.recipient = i.Recipient()
	default:
		return k, errors.New("unknown kind of identity")
	}
	return k, nil
}

// pluginUI lets a plugin talk to the user. What it says is another program's.
func (s *Store) pluginUI(asked *error) *plugin.ClientUI {
	ask := func(question string, hidden bool) (string, error) {
		answer, err := s.ask(termsafe.Line(question, 500), hidden)
		if err != nil {
			*asked = err
		}
		return answer, err
	}
	return &plugin.ClientUI{
		DisplayMessage: func(name, message string) error {
			s.tell(name + ": " + termsafe.Line(message, 500))
			return nil
		},
		RequestValue: func(_, prompt string, secret bool) (string, error) { return ask(prompt, secret) },
		Confirm: func(_, prompt, yes, no string) (bool, error) {
			choice := yes
			if no != "" {
				choice += " or " + no
			}
			answer, err := ask(prompt+" ["+choice+"]", false)
			return strings.EqualFold(answer, yes), err
		},
		WaitTimer: func(name string) { s.tell("waiting for " + name + "…") },
	}
}

func (s *Store) ask(question string, hidden bool) (string, error) {
	if s.Ask == nil {
		return "", errNobody
	}
	return s.Ask(question, hidden)
}

func (s *Store) tell(message string) {
	if s.Tell != nil {
		s.Tell(message)
	}
}

// decrypt opens what was encrypted for one of the keys. What a key itself is to
// blame for is an *IdentityError.
func decrypt(data []byte, keys []key) ([]byte, error) {
	identities := make([]age.Identity, 0, len(keys))
	for _, k := range keys {
		identities = append(identities, k)
	}
	from, err := age.Decrypt(bytes.NewReader(data), identities...)
	if err != nil {
		return nil, blame(err, keys)
	}
	return io.ReadAll(from)
}

func encrypt(plain []byte, keys []key) ([]byte, error) {
	recipients := make([]age.Recipient, 0, len(keys))
	for _, k := range keys {
		recipients = append(recipients, k.recipient)
	}
	var out bytes.Buffer
	to, err := age.Encrypt(&out, recipients...)
	if err == nil {
		_, err = to.Write(plain)
	}
	if err == nil {
		err = to.Close()
	}
	if err != nil {
		return nil, &IdentityError{keys[0].file, "cannot encrypt for it: " + termsafe.Line(err.Error(), 300), err}
	}
	return out.Bytes(), nil
}

// blame finds out whether a key could not do its work, rather than not being
// the right one.
func blame(err error, keys []key) error {
	var other *age.NoIdentityMatchError
	for _, k := range keys {
		switch asked := *k.asked; {
		case asked != nil:
			*k.asked = nil
			return &IdentityError{k.file, asked.Error(), asked}
		case k.outside && !errors.As(err, &other):
			return &IdentityError{k.file, termsafe.Line(err.Error(), 300), err}
		}
	}
	return err
}
