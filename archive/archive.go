// Package archive takes the tree of a local git repository on its way to a
// host and back, with the system's git.
//
// What travels is a snapshot: one commit without parents whose tree is that of
// the chosen ref without its export-ignore paths, which is what `git archive`
// would write. It names nothing of the user: no author, subject, branch or
// address. The same source commit with the same attributes gives the same
// snapshot id on every machine, so a host that has it needs nothing again.
//
// A snapshot leaves as one pack on a writer ([Snapshot.Pack]), to be read by
// `git index-pack --stdin --fix-thin` there. Nothing is negotiated; what the
// host claims to have ([Have]) is believed only as far as it can be computed
// again here.
//
// What was made on a host comes back by an [Intake]: into a quarantine, until
// all of it is checked, and then below refs/bivy.
//
// But for that, the user's repository is read and never written, not even a time
// stamp in it: new objects and indexes live in a private temporary directory.
package archive
