package exec

import "os"

// widen does nothing: macOS sizes its pipes by itself.
func widen(*os.File) {}
