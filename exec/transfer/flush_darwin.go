package transfer

import "os"

// flush does nothing where the kernel cannot be asked to begin (macOS).
func flush(*os.File, int64, int64) {}
