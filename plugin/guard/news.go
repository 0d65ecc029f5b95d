package guard

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/detour-dns/detour/internal/guard"
)

// topic is a kind of news: how grave it is, and how it is told of many names at
// once.
type topic struct {
	log  func(format string, v ...any)
	many string
}

var (
	begins  = &topic{log.Warningf, "names fail, and are answered with what was kept"}
	returns = &topic{log.Warningf, "names are answered with what was kept again"}
	lost    = &topic{log.Errorf, "names still fail, and nothing stands in any more"}
	ends    = &topic{log.Infof, "names are well again"}
	proofs  = &topic{log.Warningf, "kept addresses did not prove that they are their name's"}
	refuses = &topic{log.Errorf, "names lead to addresses that do not prove to be theirs: refused, the kept addresses stay"}
	adopts  = &topic{log.Infof, "names are known from other resolvers"}
	change  = &topic{log.Infof, "names have no address of a family any more"}
)

// item is what is to be told of one name.
type item struct{ name, text string }

// news gathers what is to be told until the next beat: when a provider's DNS fails
// it fails for hundreds of names at once, and that is one line. It is safe for
// concurrent use.
type news struct {
	mu    sync.Mutex
	order []*topic
	items map[*topic][]item
}

// add takes in what is to be told of a name, in a sentence that begins with it.
func (n *news) add(t *topic, name, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.items == nil {
		n.items = map[*topic][]item{}
	}
	if n.items[t] == nil {
		n.order = append(n.order, t)
	}
	n.items[t] = append(n.items[t], item{name, strings.TrimSuffix(name, ".") + fmt.Sprintf(format, args...)})
}

// drop takes back what was to be told of a name.
func (n *news) drop(t *topic, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if list, any := n.items[t]; any {
		n.items[t] = slices.DeleteFunc(list, func(i item) bool { return i.name == name })
	}
}

// single is how many names are told of one by one.
const single = 3

// tell logs what was gathered, and lets those know who keep a history.
func (n *news) tell() {
	n.mu.Lock()
	order, items := n.order, n.items
	n.order, n.items = nil, nil
	n.mu.Unlock()
	for _, t := range order {
		list := items[t]
		if len(list) <= single { // or none any more
			for _, i := range list {
				t.log("%s", i.text)
				guard.Front.Tell(guard.Event{Text: i.text, Names: []string{i.name}})
			}
			continue
		}
		names := make([]string, 0, len(list))
		for _, i := range list {
			names = append(names, i.name)
		}
		text := fmt.Sprintf("%d %s; such as %s", len(list), t.many, list[0].text)
		t.log("%s", text)
		guard.Front.Tell(guard.Event{Text: text, Names: names})
	}
}
