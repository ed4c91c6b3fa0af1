package advertisements

import (
	"slices"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Service holds the parameters of one service of a peer or group. What is in
// them is that service's business.
type Service struct {
	Class id.ModuleClass
	Param xmldoc.Node // the element Parm; zero is written as an empty one
}

// mapServices describes a list of services. Entries without class or parameters
// are left out, and the last one of a class counts, as in JXSE. An entry whose
// class is no module class ID refuses the document, unless lenient leaves it
// out: JXSE does the one for peers, the other for groups.
func mapServices(m *xmldoc.Mapper, list *[]Service, lenient bool) {
	xmldoc.Each(m, "Svc", MaxServices, list, func(m *xmldoc.Mapper, s *Service) {
		if !m.Reading() {
			m.Value("MCID", &s.Class)
			if s.Param.IsZero() {
				m.Always("Parm", new(string))
			}
			mapParam(m, &s.Param, MaxParam)
			return
		}
		if !m.Has("MCID") || !m.Has("Parm") {
			m.Skip()
			return
		}
		if lenient {
			var text string
			m.Text("MCID", &text)
			class, err := id.ParseModuleClass(text)
			if err != nil {
				m.Skip()
				return
			}
			s.Class = class
		} else {
			m.Value("MCID", &s.Class)
		}
		mapParam(m, &s.Param, MaxParam)
	})
	if m.Reading() {
		*list = lastOfEach(*list)
	}
}

// lastOfEach keeps the last service of each class.
func lastOfEach(list []Service) []Service {
	kept := list[:0]
	for i, s := range list {
		if !slices.ContainsFunc(list[i+1:], func(t Service) bool { return t.Class == s.Class }) {
			kept = append(kept, s)
		}
	}
	return kept
}

// param finds the parameters of a class.
func param(list []Service, c id.ModuleClass) (xmldoc.Node, bool) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Class == c {
			return list[i].Param, true
		}
	}
	return xmldoc.Node{}, false
}

// setParam sets or, if param is zero, removes the parameters of a class.
func setParam(list []Service, c id.ModuleClass, param xmldoc.Node) []Service {
	if param.IsZero() {
		return slices.DeleteFunc(slices.Clone(list), func(s Service) bool { return s.Class == c })
	}
	list = slices.Clone(list)
	for i := range list {
		if list[i].Class == c {
			list[i].Param = param
			return list
		}
	}
	return append(list, Service{c, param})
}
