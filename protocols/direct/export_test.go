package direct

// NewNonce names an attempt.
var NewNonce = newNonce
