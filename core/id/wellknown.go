package id

const wellKnown = prefix + "uuid-DEADBEEFDEAFBABAFEEDBABE"

// Module classes of the services every JXTA peer knows. Their text form is the
// resolver handler name and the endpoint service name of most services.
var (
	ClassPeerGroup  = ModuleClass{ID{wellKnown + "0000000105"}}
	ClassResolver   = ModuleClass{ID{wellKnown + "0000000205"}}
	ClassDiscovery  = ModuleClass{ID{wellKnown + "0000000305"}}
	ClassPipe       = ModuleClass{ID{wellKnown + "0000000405"}}
	ClassMembership = ModuleClass{ID{wellKnown + "0000000505"}}
	ClassRendezvous = ModuleClass{ID{wellKnown + "0000000605"}}
	ClassPeerInfo   = ModuleClass{ID{wellKnown + "0000000705"}}
	ClassEndpoint   = ModuleClass{ID{wellKnown + "0000000805"}}
	ClassTCP        = ModuleClass{ID{wellKnown + "0000000905"}}
	ClassHTTP       = ModuleClass{ID{wellKnown + "0000000A05"}}
	ClassRouter     = ModuleClass{ID{wellKnown + "0000000B05"}}
	ClassRelay      = ModuleClass{ID{wellKnown + "0000000F05"}}
	ClassAccess     = ModuleClass{ID{wellKnown + "0000001005"}}
)

// Module specs that group and implementation advertisements name.
var (
	SpecWorldGroup   = ModuleSpec{ID{wellKnown + "000000010106"}}
	SpecNetGroup     = ModuleSpec{ID{wellKnown + "000000010206"}}
	SpecGenericGroup = ModuleSpec{ID{wellKnown + "000000010306"}}

	SpecResolver         = ModuleSpec{ID{wellKnown + "000000020106"}}
	SpecDiscovery        = ModuleSpec{ID{wellKnown + "000000030106"}}
	SpecPipe             = ModuleSpec{ID{wellKnown + "000000040106"}}
	SpecMembershipNone   = ModuleSpec{ID{wellKnown + "000000050106"}}
	SpecMembershipPasswd = ModuleSpec{ID{wellKnown + "000000050206"}}
	SpecMembershipPSE    = ModuleSpec{ID{wellKnown + "000000050306"}}
	SpecRendezvous       = ModuleSpec{ID{wellKnown + "000000060106"}}
	SpecPeerInfo         = ModuleSpec{ID{wellKnown + "000000070106"}}
	SpecEndpoint         = ModuleSpec{ID{wellKnown + "000000080106"}}
	SpecAccessAlways     = ModuleSpec{ID{wellKnown + "000000100106"}}
	SpecAccessList       = ModuleSpec{ID{wellKnown + "000000100206"}}
	SpecAccessPSE        = ModuleSpec{ID{wellKnown + "000000100306"}}
)
