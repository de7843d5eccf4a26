//go:build !race

package histories_test

const raced = false
