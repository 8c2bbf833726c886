package secrets

import (
	"errors"
	"os"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// sshKey reads an ssh private key. Only the format of keys is of interest here:
// nothing speaks SSH.
func (s *Store) sshKey(file string, data []byte) (key, error) {
	k := key{file: file, asked: new(error)}
	bad := func(err error) (key, error) {
		return k, &IdentityError{file, "it is no ssh private key that age can use: RSA and Ed25519 are", err}
	}
	i, err := agessh.ParseIdentity(data)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		public := locked.PublicKey
		if public == nil { // the older format does not hold it
			if public, err = publicKey(file); err != nil {
				return k, &IdentityError{file, "its public key is needed, and cannot be read beside it: " + why(err), err}
			}
		}
		i, err = s.lockedKey(file, data, public, k.asked)
	}
	if err != nil {
		return bad(err)
	}
	k.Identity = i
	switch i := i.(type) {
	case *agessh.Ed25519Identity:
		k.recipient = i.Recipient()
	case *agessh.RSAIdentity:
		k.recipient = i.Recipient()
	case *agessh.EncryptedSSHIdentity:
		k.recipient, k.outside = i.Recipient(), true
	default:
		return bad(nil)
	}
	return k, nil
}

// lockedKey is a key with a passphrase, which is asked for when it is needed.
func (s *Store) lockedKey(file string, data []byte, public ssh.PublicKey, asked *error) (age.Identity, error) {
	return agessh.NewEncryptedSSHIdentity(public, data, func() ([]byte, error) {
		answer, err := s.ask("passphrase of "+file, true)
		if err != nil {
			*asked = err
		}
		return []byte(answer), err
	})
}

func publicKey(file string) (ssh.PublicKey, error) {
	data, err := os.ReadFile(file + ".pub")
	if err != nil {
		return nil, err
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(data)
	return public, err
}
