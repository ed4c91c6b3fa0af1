// Package costtest holds the tests of what a peer costs before it does anything:
// the time from the start of its process to its lease, its memory at rest, that of
// each link and client, and a question asked through a rendezvous that knows ten
// thousand things. They bound memory and goroutines; the times are benchmarks:
//
//	go test -run '^$' -bench . -benchtime 20x ./peergroup/costtest
package costtest
