package marathon

import (
	"fmt"
	"strconv"
	"strings"
)

// A Version is what /v2/info says.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads "1.11.24", also with a suffix ("1.4.2-RC1", "1.5.0-96-gf84298d").
func ParseVersion(s string) (Version, error) {
	core, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(s), "v"), "-")
	parts := strings.Split(core, ".")
	var n [3]int
	if len(parts) < 2 || len(parts) > 3 {
		return Version{}, fmt.Errorf("marathon version %q is not of the form 1.11.24", s)
	}
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return Version{}, fmt.Errorf("marathon version %q is not of the form 1.11.24", s)
		}
		n[i] = v
	}
	return Version{n[0], n[1], n[2]}, nil
}

// String is "1.11.24".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// AtLeast compares with major.minor.patch.
func (v Version) AtLeast(major, minor, patch int) bool {
	if v.Major != major {
		return v.Major > major
	}
	if v.Minor != minor {
		return v.Minor > minor
	}
	return v.Patch >= patch
}

// Supported says whether esfleet speaks to this version at all, and why not.
func (v Version) Supported() (bool, string) {
	if !v.AtLeast(1, 4, 2) {
		return false, fmt.Sprintf("Marathon %s is older than 1.4.2; 1.3.0 to 1.4.1 lose persistent volumes when an agent is lost (MARATHON-4570): upgrade Marathon", v)
	}
	if v.Major > 1 {
		return false, fmt.Sprintf("Marathon %s is newer than every version esfleet was tested with (1.4.2 to 1.11)", v)
	}
	return true, ""
}
