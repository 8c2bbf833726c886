package main

// PruneCmd is `bivy prune`.
type PruneCmd struct{}

func (c *PruneCmd) Run() error { return nil }
