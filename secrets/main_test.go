package secrets

import (
	"testing"

	"bivy/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
