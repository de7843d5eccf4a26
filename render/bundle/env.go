package bundle

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The environment variables that carry a bundle: EnvPrefix0, EnvPrefix1 … hold base64 of the archive, cut into pieces.
const (
	EnvPrefix = "ESFLEET_BUNDLE_"
	EnvDigest = "ESFLEET_BUNDLE_SHA256"

	// MaxChunk bounds one variable, in bytes. The kernel refuses to start a process with a string of 128 KiB and more
	// in its environment, which Marathon does not check: the task would fail for ever.
	MaxChunk = 96 << 10
	// MaxInline bounds all variables of a bundle together, in bytes of base64. With the rest of an app it stays under
	// the 900 KB that a request to Marathon may have (a definition over 1 MiB kills its leader).
	MaxInline = 600 << 10
)

// IsEnv says whether an environment variable belongs to the bundle.
func IsEnv(name string) bool {
	if name == EnvDigest {
		return true
	}
	_, ok := chunkIndex(name)
	return ok
}

// ToEnv is the environment that carries b. It fails for a bundle above MaxInline and names its largest files.
func ToEnv(b *Bundle) (map[string]string, error) {
	text := base64.StdEncoding.EncodeToString(b.Packed)
	if len(text) > MaxInline {
		return nil, &TooLargeError{Size: len(text), Largest: b.Largest(3)}
	}
	env := map[string]string{EnvDigest: b.Digest}
	for i := 0; ; i++ {
		n := min(MaxChunk, len(text))
		env[EnvPrefix+strconv.Itoa(i)] = text[:n]
		if text = text[n:]; text == "" {
			return env, nil
		}
	}
}

// Chunks is the number of variables that carry b.
func Chunks(b *Bundle) int {
	return max(1, (base64.StdEncoding.EncodedLen(len(b.Packed))+MaxChunk-1)/MaxChunk)
}

// ErrNoBundle is FromEnv's answer for an environment without any variable of a bundle.
var ErrNoBundle = errors.New("the environment carries no bundle")

// FromEnv reads a bundle back from an app's environment, which is untrusted: the number and size of the variables are
// bounded, none may be missing, and the digest must be the archive's.
func FromEnv(env map[string]string) (*Bundle, error) {
	want, hasDigest := env[EnvDigest]
	pieces, size := 0, 0
	for name, v := range env {
		if _, ok := chunkIndex(name); ok {
			pieces++
			size += len(v)
		}
	}
	if pieces == 0 && !hasDigest {
		return nil, ErrNoBundle
	}
	if limit := base64.StdEncoding.EncodedLen(MaxPacked); size > limit {
		return nil, fmt.Errorf("read bundle: %d bytes of base64, at most %d are accepted", size, limit)
	}
	var text strings.Builder
	for i := range pieces {
		v, ok := env[EnvPrefix+strconv.Itoa(i)]
		if !ok {
			return nil, fmt.Errorf("read bundle: %s%d is missing though %d pieces are there", EnvPrefix, i, pieces)
		}
		text.WriteString(v)
	}
	packed, err := base64.StdEncoding.DecodeString(text.String())
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	if got := digest(packed); got != want {
		return nil, fmt.Errorf("read bundle: its sha256 is %s but %s says %.64q", got, EnvDigest, want)
	}
	return Unpack(packed)
}

// chunkIndex takes i out of the canonical name of piece i.
func chunkIndex(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, EnvPrefix)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(digits)
	return i, err == nil && i >= 0 && strconv.Itoa(i) == digits
}

// A TooLargeError says that a bundle does not fit into an app definition.
type TooLargeError struct {
	Size    int // bytes of base64
	Largest []File
}

func (e *TooLargeError) Error() string {
	var names []string
	for _, f := range e.Largest {
		names = append(names, fmt.Sprintf("%s (%d bytes)", f.Path, len(f.Content)))
	}
	return fmt.Sprintf("the node's bundle is %d KiB packed, and at most %d KiB fit into an app definition; make its largest files smaller or put them into the image: %s",
		e.Size>>10, MaxInline>>10, strings.Join(names, ", "))
}
