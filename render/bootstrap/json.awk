# Flattens one JSON document: a line for each scalar, its path (keys and indices, each with a slash before it), a tab
# and its value. Exits 1, whatever it has printed, unless the document is complete: a cut answer is not an answer.
# Marathon puts a node's whole bundle into its app; those strings are taken out first, because every step copies the rest.
{ doc = doc $0 "\n" }

END {
	rest = doc
	gsub(/"ESFLEET_BUNDLE_[0-9]+" *: *"[^"]*" *,?/, "", rest)
	blank()
	value("")
	blank()
	if (rest != "") bad()
}

function bad() { exit 1 }

function blank() { sub(/^[ \t\r\n]+/, "", rest) }

function next_is(c) {
	blank()
	if (substr(rest, 1, 1) != c) return 0
	rest = substr(rest, 2)
	return 1
}

function text(    s) {
	if (!match(rest, /^"([^"\\]|\\.)*"/)) bad()
	s = substr(rest, 2, RLENGTH - 2)
	rest = substr(rest, RLENGTH + 1)
	gsub(/\\[nrtbf]/, " ", s)
	gsub(/\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]/, "?", s)
	gsub(/\\"/, "\"", s)
	gsub(/\\\//, "/", s)
	gsub(/\\\\/, "\\", s)
	gsub(/[\t\r\n]/, " ", s)
	return s
}

function value(path,    i, key, s) {
	blank()
	if (next_is("{")) {
		if (next_is("}")) return
		do {
			if (next_is("}")) return # a bundle taken out may leave a last comma
			key = text()
			if (!next_is(":")) bad()
			value(path "/" key)
		} while (next_is(","))
		if (!next_is("}")) bad()
	} else if (next_is("[")) {
		if (next_is("]")) return
		i = 0
		do {
			value(path "/" i++)
		} while (next_is(","))
		if (!next_is("]")) bad()
	} else if (substr(rest, 1, 1) == "\"") {
		s = text()
		print path "\t" s
	} else if (match(rest, /^(-?[0-9][0-9.eE+-]*|true|false|null)/)) {
		print path "\t" substr(rest, 1, RLENGTH)
		rest = substr(rest, RLENGTH + 1)
	} else bad()
}
