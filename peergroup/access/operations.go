package access

// The operations that the services of Juxta ask for. Those of applications are any
// other words.
const (
	// ResolverQuery is to have a question answered, by handlers that have no operation
	// of their own.
	ResolverQuery = "juxta.resolver.query"

	// DiscoveryFind is to have a question for advertisements answered.
	DiscoveryFind = "juxta.discovery.find"

	// DiscoveryPublish is to have an advertisement, or an index of some, taken.
	DiscoveryPublish = "juxta.discovery.publish"

	// PipeBind is to be told who listens on a pipe, and to announce that one listens.
	PipeBind = "juxta.pipe.bind"

	// PipeSend is to have messages taken by an input pipe.
	PipeSend = "juxta.pipe.send"

	// ModuleCall is to have a module of the group do something.
	ModuleCall = "juxta.module.call"
)

// Operations lists them.
func Operations() []string {
	return []string{ResolverQuery, DiscoveryFind, DiscoveryPublish, PipeBind, PipeSend, ModuleCall}
}
