// Package test holds what is true of the project as a whole: its import law, its map, and stories told with every
// real part at once.
package test
