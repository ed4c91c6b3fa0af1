package access_test

import (
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup/access"
)

// A group lists who may send on its pipes, and who may do what an application calls
// "draw".
func ExampleControl_Permit() {
	parm, err := access.Rights(map[string][]string{access.PipeSend: {"ann"}, "draw": {access.Everybody}})
	if err != nil {
		panic(err)
	}
	control, err := access.New(id.ModuleSpec{}, parm) // parm stands in the group's advertisement
	if err != nil {
		panic(err)
	}
	bob, err := credential.New(credential.Password, id.NetGroup, id.NewPeer(id.NetGroup), "bob")
	if err != nil {
		panic(err)
	}
	fmt.Println(control.Permit("draw", bob, credential.Claimed))
	fmt.Println(control.Permit(access.PipeSend, bob, credential.Claimed))
	fmt.Println(control.Permit("erase", bob, credential.Claimed))
	// Output:
	// <nil>
	// access: not permitted: juxta.pipe.send to "bob": the group's list of rights names others
	// access: not permitted: erase to "bob": the group's list of rights does not have it
}
