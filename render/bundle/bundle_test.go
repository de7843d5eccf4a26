package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/render/bundle"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func pack(t testing.TB, files ...bundle.File) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEqualFilesGiveEqualBytesInWhateverOrderTheyCome(t *testing.T) {
	a := bundle.File{Path: "a.txt", Mode: 0o600, Content: []byte("a")}
	b := bundle.File{Path: "d/b.sh", Mode: 0o700, Content: []byte("b")}
	one := pack(t, a, b)
	two := pack(t, bundle.File{Path: "d/b.sh", Mode: 0o755, Content: []byte("b")}, bundle.File{Path: "a.txt", Mode: 0o644, Content: []byte("a")})
	if !bytes.Equal(one.Packed, two.Packed) || one.Digest != two.Digest {
		t.Errorf("digests %s and %s differ", one.Digest, two.Digest)
	}
}

// The digest is part of every app: if it changes by accident, or because a Go release compresses differently, every node
// of every fleet restarts.
func TestTheBytesOfABundleNeverChange(t *testing.T) {
	b := pack(t, bundle.File{Path: "x", Mode: 0o644, Content: []byte("hello\n")})
	const want = "057ed7d6cd1427c51eb50f50d2d6aa47a3ef24e942b405880aefe6ca0af632e8"
	if b.Digest != want {
		t.Errorf("digest is %s, was always %s", b.Digest, want)
	}
}

func TestABundleComesBackFromTheEnvironmentAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		contents := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}(\.[a-z]{1,3})?`), rapid.SliceOfN(rapid.Byte(), 0, 4096), 0, 8).Draw(t, "files")
		var files []bundle.File
		for name, c := range contents {
			files = append(files, bundle.File{Path: "f/" + name, Mode: 0o644, Content: c})
		}
		want, err := bundle.Pack(files)
		if err != nil {
			t.Fatal(err)
		}
		env, err := bundle.ToEnv(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bundle.FromEnv(env)
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest != want.Digest || len(got.Files) != len(want.Files) {
			t.Fatalf("got %d files, digest %s; want %d, %s", len(got.Files), got.Digest, len(want.Files), want.Digest)
		}
		for i, f := range want.Files {
			if g := got.Files[i]; g.Path != f.Path || g.Mode != f.Mode || !bytes.Equal(g.Content, f.Content) {
				t.Errorf("%s came back as %s", f.Path, g.Path)
			}
		}
	})
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestALargeBundleIsSpreadOverVariablesThatTheKernelAccepts(t *testing.T) {
	b := pack(t, bundle.File{Path: "big", Content: noise(400 << 10)})
	env, err := bundle.ToEnv(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(env), bundle.Chunks(b)+1; got != want || got < 6 {
		t.Errorf("%d variables, want %d", got, want)
	}
	for name, v := range env {
		if !bundle.IsEnv(name) || len(name)+len(v)+2 > 128<<10 {
			t.Errorf("%s has %d bytes", name, len(v))
		}
	}
	got, err := bundle.FromEnv(env)
	if err != nil || !bytes.Equal(got.Packed, b.Packed) {
		t.Errorf("came back differently: %v", err)
	}
}

func TestABundleAboveTheInlineLimitIsRefusedAndItsLargestFilesAreNamed(t *testing.T) {
	b := pack(t, bundle.File{Path: "dict/big.txt", Content: noise(500 << 10)}, bundle.File{Path: "small", Content: []byte("x")})
	_, err := bundle.ToEnv(b)
	var tooLarge *bundle.TooLargeError
	if !errors.As(err, &tooLarge) || !strings.Contains(err.Error(), "dict/big.txt (512000 bytes)") {
		t.Errorf("got %v", err)
	}
}

func TestPackRefusesWhatANodeCouldNotUnpackSafely(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		files      []bundle.File
	}{
		{"an absolute path", "not a clean relative path", []bundle.File{{Path: "/etc/passwd"}}},
		{"a path that leaves the folder", "not a clean relative path", []bundle.File{{Path: "../x"}}},
		{"a path with dots inside", "not a clean relative path", []bundle.File{{Path: "a/../b"}}},
		{"an empty path", "no path", []bundle.File{{}}},
		{"a newline in a path", "not allowed", []bundle.File{{Path: "a\nb"}}},
		{"the same path twice", "twice", []bundle.File{{Path: "a"}, {Path: "a"}}},
		{"a file that is also a folder", "also the folder", []bundle.File{{Path: "a"}, {Path: "a-b"}, {Path: "a/b"}}},
		{"a huge file", "larger than", []bundle.File{{Path: "a", Content: make([]byte, bundle.MaxFile+1)}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := bundle.Pack(tc.files); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestALiveEnvironmentThatWasTamperedWithIsRefusedWithTheReason(t *testing.T) {
	env, err := bundle.ToEnv(pack(t, bundle.File{Path: "big", Content: noise(200 << 10)}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, want string
		edit       func(map[string]string)
	}{
		{"nothing of a bundle", "carries no bundle", func(e map[string]string) { clear(e); e["A"] = "b" }},
		{"a piece is missing", "ESFLEET_BUNDLE_1 is missing", func(e map[string]string) { delete(e, "ESFLEET_BUNDLE_1") }},
		{"the digest is another's", "its sha256 is", func(e map[string]string) { e[bundle.EnvDigest] = "00" }},
		{"the digest is gone", "its sha256 is", func(e map[string]string) { delete(e, bundle.EnvDigest) }},
		{"not base64", "illegal base64", func(e map[string]string) { e["ESFLEET_BUNDLE_0"] = "!!" }},
		{"far too much", "at most", func(e map[string]string) { e["ESFLEET_BUNDLE_9"] = strings.Repeat("A", 6<<20) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := maps.Clone(env)
			tc.edit(e)
			if _, err := bundle.FromEnv(e); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, h := range headers {
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUnpackRefusesHostileArchives(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		headers    []tar.Header
	}{
		{"a symbolic link", "not a plain file", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/etc/passwd"}}},
		{"a path outside", "not a clean relative path", []tar.Header{{Typeflag: tar.TypeReg, Name: "../../a"}}},
		{"one file that is too large", "larger than", []tar.Header{{Typeflag: tar.TypeReg, Name: "a", Size: bundle.MaxFile + 1}}},
		{"much zeroes in few bytes", "unpacked", slices.Repeat([]tar.Header{{Typeflag: tar.TypeReg, Name: "a", Size: bundle.MaxFile}}, 5)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := bundle.Unpack(archive(t, tc.headers...)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// Whatever a live app carries, reading it ends with a bundle that can be packed again, or with an error; never a panic.
func FuzzFromEnv(f *testing.F) {
	env, err := bundle.ToEnv(pack(f, bundle.File{Path: "a/b", Content: []byte("hello")}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(env["ESFLEET_BUNDLE_0"], "", env[bundle.EnvDigest])
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, zero, one, sum string) {
		b, err := bundle.FromEnv(map[string]string{"ESFLEET_BUNDLE_0": zero, "ESFLEET_BUNDLE_1": one, bundle.EnvDigest: sum})
		if err != nil {
			return
		}
		again(t, b)
	})
}

// The digest keeps a fuzzer out of FromEnv's inside, so the archive reader gets a target of its own.
func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, bundle.File{Path: "a/b", Content: []byte("hello")}).Packed)
	f.Fuzz(func(t *testing.T, packed []byte) {
		if b, err := bundle.Unpack(packed); err == nil {
			again(t, b)
		}
	})
}

func again(t *testing.T, b *bundle.Bundle) {
	t.Helper()
	c, err := bundle.Pack(b.Files)
	if err != nil {
		t.Fatalf("accepted, but cannot be packed: %v", err)
	}
	if diff := cmp.Diff(b.Files, c.Files); diff != "" {
		t.Error(diff)
	}
}
