// Command plugin is an age plugin for tests. It encrypts to a key that its
// identity holds, as AGE-PLUGIN-BIVYTEST-1…, and asks first where that begins
// with a question mark.
package main

import (
	"crypto/sha256"
	"errors"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

func main() {
	p, err := plugin.New("bivytest")
	if err != nil {
		panic(err)
	}
	p.HandleIdentity(func(data []byte) (age.Identity, error) { return asking{p, data}, nil })
	p.HandleIdentityAsRecipient(func(data []byte) (age.Recipient, error) { return recipient(data) })
	os.Exit(p.Main())
}

// password is what a key stands for; its work factor makes tests fast.
func password(data []byte) string {
	sum := sha256.Sum256(data)
	return string(sum[:])
}

func recipient(data []byte) (*age.ScryptRecipient, error) {
	r, err := age.NewScryptRecipient(password(data))
	if err == nil {
		r.SetWorkFactor(2)
	}
	return r, err
}

type asking struct {
	p    *plugin.Plugin
	data []byte
}

func (a asking) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if strings.HasPrefix(string(a.data), "?") {
		pin, err := a.p.RequestValue("what is the PIN", true)
		if err != nil {
			return nil, err
		}
		if pin != "1234" {
			return nil, errors.New("the PIN is wrong")
		}
	}
	i, err := age.NewScryptIdentity(password(a.data))
	if err != nil {
		return nil, err
	}
	return i.Unwrap(stanzas)
}
