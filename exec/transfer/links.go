package transfer

import (
	"errors"
	"io/fs"
	"strings"
)

// link is a symbolic link of an archive.
type link struct{ name, to string }

// keep remembers a link until all else is there. The directory that it will be
// in is made now, and so is none that another link leads to.
func (u *unpacker) keep(name, to string) error {
	if name == "." {
		return &entryError{name, "the tree itself is a link"}
	}
	if why := leadsOut(name, to); why != "" {
		u.skip(name, why)
		return nil
	}
	if u.linkText += int64(len(name) + len(to)); u.linkText > maxLinkText {
		return errTooMuch
	}
	if err := u.parents(name); err != nil {
		return err
	}
	u.links = append(u.links, link{name, to})
	return nil
}

// leadsOut says why the link at name must not be made, or nothing. What goes up
// behind a name may do so from where another link leads.
func leadsOut(name, to string) string {
	const out = "it is a link that leads out of the tree"
	switch {
	case to == "" || len(to) > maxPath || strings.IndexByte(to, 0) >= 0:
		return "it is a link to what cannot be"
	case strings.HasPrefix(to, "/"):
		return out
	}
	depth, down := strings.Count(name, "/"), false
	for part := range strings.SplitSeq(to, "/") {
		switch {
		case part == "" || part == ".":
		case part != "..":
			down = true
		case down || depth == 0:
			return out
		default:
			depth--
		}
	}
	return ""
}

// hardLink gives a file of this archive another name.
func (u *unpacker) hardLink(name, to string) error {
	old, why := cleanName(to)
	if why != "" {
		return &entryError{name, "it is a hard link, and there " + why}
	}
	info, err := u.root.Lstat(old)
	if err != nil || !info.Mode().IsRegular() {
		u.skip(name, "it is a hard link to something that is no file of this tree")
		return nil
	}
	u.files++
	err = u.root.Link(old, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = u.parents(name); err == nil {
			err = u.root.Link(old, name)
		}
	}
	return u.here(name, err)
}

// link makes the links.
func (u *unpacker) link() error {
	for _, l := range u.links {
		if err := u.here(l.name, u.root.Symlink(l.to, l.name)); err != nil {
			return err
		}
		u.files++
	}
	return nil
}
