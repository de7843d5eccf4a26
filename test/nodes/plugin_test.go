package nodes_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// servePlugin serves a plugin that does nothing, made as the release wants it.
func servePlugin(t testing.TB, r release, name string) (url, sum string) {
	t.Helper()
	archive := r.plugin(t, name)
	digest := sha512.Sum512(archive)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }))
	t.Cleanup(s.Close)
	return s.URL + "/" + name + ".zip", hex.EncodeToString(digest[:])
}

func (r release) plugin(t testing.TB, name string) []byte {
	t.Helper()
	descriptor := fmt.Sprintf("name=%s\ndescription=does nothing\nversion=1\n", name)
	if r.before("5") {
		// A page instead of a class: of a class this Plugin wants methods.
		return zipped(t, map[string]string{"plugin-descriptor.properties": descriptor + "site=true\n", "_site/index.html": "nothing"})
	}
	folder := ""
	if r.before("6") {
		folder = "elasticsearch/"
	}
	descriptor += fmt.Sprintf("classname=nothing.Nothing\njava.version=1.8\n%s.version=%s\n", r.distribution, r.version)
	jar := zipped(t, map[string]string{"nothing/Nothing.class": class("nothing/Nothing", "org/"+r.distribution+"/plugins/Plugin")})
	return zipped(t, map[string]string{folder + "plugin-descriptor.properties": descriptor, folder + "nothing.jar": string(jar)})
}

func zipped(t testing.TB, content map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(content)) {
		f, err := z.Create(name)
		must(t, err)
		_, err = f.Write([]byte(content[name]))
		must(t, err)
	}
	must(t, z.Close())
	return b.Bytes()
}

// class is what a compiler makes of `public class NAME extends SUPER {}`; machines that run Elasticsearch have none.
func class(name, super string) string {
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.BigEndian, v) // a Buffer takes everything
		}
	}
	text := func(s string) { put(uint8(1), uint16(len(s)), []byte(s)) }
	const reference, method, nameAndType = uint8(7), uint8(10), uint8(12)
	put(uint32(0xCAFEBABE), uint32(52)) // of Java 8
	put(uint16(10))                     // constants 1 to 9
	put(reference, uint16(2))
	text(name)
	put(reference, uint16(4))
	text(super)
	text("<init>")
	text("()V")
	text("Code")
	put(nameAndType, uint16(5), uint16(6))
	put(method, uint16(3), uint16(8))               // 9: the constructor of SUPER
	put(uint16(0x21), uint16(1), uint16(3))         // a public class, this, its superclass
	put(uint16(0), uint16(0))                       // neither interfaces nor fields
	put(uint16(1), uint16(1), uint16(5), uint16(6)) // one method: public <init>()V
	code := []byte{0x2a, 0xb7, 0, 9, 0xb1}          // this.SUPER(); return
	put(uint16(1), uint16(7), uint32(12+len(code)), uint16(1), uint16(1), uint32(len(code)), code)
	put(uint16(0), uint16(0)) // exceptions, attributes of the code
	put(uint16(0))            // attributes of the class
	return b.String()
}
