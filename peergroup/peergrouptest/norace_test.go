//go:build !race

package peergrouptest_test

const race = false
