package lang

// MaxSource is the longest text [Parse] takes, in octets. Scripts come from
// files and from other programs; the bound keeps a wrong file from eating the
// memory of a peer.
const MaxSource = 1 << 20

// maxNesting bounds how deep if and for may stand in each other.
const maxNesting = 32
