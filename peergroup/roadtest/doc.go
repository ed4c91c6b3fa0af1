// Package roadtest holds the tests of peers that talk over bad roads: narrow, slow,
// lossy, and at times interrupted. A road is a program between two TUN devices in two
// network namespaces, which takes root, /dev/net/tun and the command ip; elsewhere the
// tests say loudly that they test nothing. The TCP is that of the system, and the time
// is real. Every peer is a process of its own in its namespace.
//
// JUXTA_SLOW=1 adds the scenes that take a minute, and -timeout must allow for some;
// JUXTA_ROAD_TABLE names a file to which the tests add their results, as rows
// of a table.
package roadtest
