package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// Format is the number in the stores that this version writes. It reads no
// higher one.
const Format = 1

// maxStore bounds what is read of a store, in bytes: all values at their
// longest, in base64, with room to spare.
const maxStore = 128 << 20

// content is what an encrypted file holds.
type content struct {
	Format  int    `json:"format"`
	Project string `json:"project"`
	Vault
}

// open decrypts a store. An error is typed, and says which of many things that
// are no match it was.
func (s *Store) open(file, project string, from io.Reader) (content, error) {
	var c content
	data, err := io.ReadAll(io.LimitReader(from, maxStore))
	if err != nil {
		return c, &StoreError{file, Unreadable, err}
	}
	// First, so that what is no store at all is not blamed on the identity.
	if _, err := age.ExtractHeader(bytes.NewReader(data)); err != nil {
		return c, &StoreError{file, Damaged, err}
	}
	keys, err := s.identity(false)
	if err != nil {
		return c, err
	}
	plain, err := decrypt(data, keys)
	var other *age.NoIdentityMatchError
	var trouble *IdentityError
	switch {
	case errors.As(err, &trouble):
		return c, err
	case errors.As(err, &other):
		return c, &StoreError{file, Foreign, err}
	case err != nil:
		return c, &StoreError{file, Damaged, err}
	}
	return c, c.parse(file, project, plain)
}

func (c *content) parse(file, project string, plain []byte) error {
	// The number comes first: a newer file may have fields of other types.
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(plain, &head); err != nil {
		return &StoreError{file, Damaged, errors.New("it holds no JSON")}
	}
	if head.Format > Format {
		return &StoreError{file, Newer, fmt.Errorf("format %d", head.Format)}
	}
	if err := json.Unmarshal(plain, c); err != nil || c.Format != Format {
		// What json says of it could be a part of a value.
		return &StoreError{file, Damaged, errors.New("it does not hold what a store does")}
	}
	if c.Project != project {
		return &StoreError{file, Damaged, fmt.Errorf("it is the store of %q", c.Project)}
	}
	return nil
}

// seal encrypts a store for whoever may open it.
func (s *Store) seal(c content) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("keep the secrets of %s: %w", c.Project, err)
	}
	keys, err := s.identity(true)
	if err != nil {
		return nil, err
	}
	return encrypt(plain, keys)
}
