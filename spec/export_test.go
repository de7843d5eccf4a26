package spec

// ShapeRefuses says whether the table of shapes refuses a document, apart from any rule about several values.
func ShapeRefuses(kind, src string) bool { return len(parseContent([]byte(src), kind).findings) > 0 }
