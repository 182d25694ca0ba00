//go:build !linux

package bolt

// ahead does nothing where nobody has measured that it helps.
type ahead struct{}

func (*ahead) walk([]byte, int) {}
