// Package reachtest holds the tests of reaching peers through address translators,
// firewalls and proxies. They build networks of Linux network namespaces, which
// takes root, and the commands ip and nft; elsewhere they say loudly that they
// test nothing. Every peer is a process of its own in its namespace.
//
// docs/reach.md has the results; JUXTA_REACH_TABLE names a file to which the tests
// add theirs.
package reachtest
