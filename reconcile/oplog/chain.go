package oplog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

var (
	bucketEvents = []byte("events") // number → event, without gaps
	bucketOpen   = []byte("open")   // number of a beginning that has no end yet → 1
	bucketMeta   = []byte("meta")
	keyHead      = []byte("head") // the hash after the last event
	keyBase      = []byte("base") // the hash before the first event that is kept
)

// An event is a beginning or an end.
type event struct {
	Begin *Entry   `json:"begin,omitempty"`
	Of    ID       `json:"of,omitempty"`
	End   *Outcome `json:"end,omitempty"`
	// Before is the hash of all events before this one.
	Before string `json:"before"`
}

// A chain is the log within one transaction.
type chain struct {
	events, open, meta *bolt.Bucket
	head               string
}

func chainOf(tx *bolt.Tx) (*chain, error) {
	c := &chain{}
	for _, b := range []struct {
		name []byte
		to   **bolt.Bucket
	}{{bucketEvents, &c.events}, {bucketOpen, &c.open}, {bucketMeta, &c.meta}} {
		var err error
		if *b.to, err = tx.CreateBucketIfNotExists(b.name); err != nil {
			return nil, err
		}
	}
	c.head = string(c.meta.Get(keyHead))
	return c, nil
}

func (c *chain) save() error { return c.meta.Put(keyHead, []byte(c.head)) }

func (c *chain) append(ev event) (ID, error) {
	last, _ := c.events.Cursor().Last()
	n := number(last) + 1
	ev.Before = c.head
	b, err := json.Marshal(ev)
	if err != nil {
		return 0, err
	}
	c.head = hash(b)
	return ID(n), c.events.Put(key(n), b)
}

func (c *chain) begin(e Entry) (ID, error) {
	id, err := c.append(event{Begin: &e})
	if err != nil {
		return 0, err
	}
	return id, c.open.Put(key(uint64(id)), []byte{1}) // not empty: bbolt gives nil for that
}

func (c *chain) end(id ID, o Outcome) error {
	k := key(uint64(id))
	if c.open.Get(k) == nil {
		return fmt.Errorf("entry %d is not open", id)
	}
	if err := c.open.Delete(k); err != nil {
		return err
	}
	_, err := c.append(event{Of: id, End: &o})
	return err
}

func (c *chain) openIDs() []ID {
	var ids []ID
	_ = c.open.ForEach(func(k, _ []byte) error {
		ids = append(ids, ID(number(k)))
		return nil
	})
	return ids
}

func (c *chain) entry(id ID) (Entry, error) {
	var ev event
	if err := json.Unmarshal(c.events.Get(key(uint64(id))), &ev); err != nil || ev.Begin == nil {
		return Entry{}, damage("entry %d is open but not there", id)
	}
	ev.Begin.ID = id
	return *ev.Begin, nil
}

// prune drops the oldest events, a tenth more than needed, so that most calls have nothing to do.
func (c *chain) prune(most int, age time.Duration, now time.Time) error {
	cur := c.events.Cursor()
	first, _ := cur.First()
	last, _ := c.events.Cursor().Last()
	excess := int(number(last)-number(first)) + 1 - most
	if excess > 0 {
		excess += most / 10
	}
	type drop struct{ k, v []byte }
	var drops []drop
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		if len(drops) >= excess && !tooOld(v, age, now) {
			break
		}
		if number(k) == number(last) { // the entry that is being begun stays in any case
			break
		}
		drops = append(drops, drop{k, v})
	}
	for _, d := range drops {
		if err := c.meta.Put(keyBase, []byte(hash(d.v))); err != nil {
			return err
		}
		if err := c.open.Delete(d.k); err != nil {
			return err
		}
		if err := c.events.Delete(d.k); err != nil {
			return err
		}
	}
	return nil
}

func tooOld(v []byte, age time.Duration, now time.Time) bool {
	var ev event
	if age <= 0 || json.Unmarshal(v, &ev) != nil {
		return false
	}
	return ev.Begin == nil || now.Sub(ev.Begin.Time) > age // an end that comes first has lost its beginning
}

// verify follows the chain from its first kept event to its head.
func verify(tx *bolt.Tx) error {
	events, meta := tx.Bucket(bucketEvents), tx.Bucket(bucketMeta)
	if events == nil || meta == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return damage("it is another program's file: it holds %q", k)
		}
		return nil
	}
	at := string(meta.Get(keyBase))
	var last uint64
	err := events.ForEach(func(k, v []byte) error {
		n := number(k)
		var ev event
		switch {
		case last != 0 && n != last+1:
			return damage("events %d to %d are missing", last+1, n-1)
		case json.Unmarshal(v, &ev) != nil || (ev.Begin == nil) == (ev.End == nil):
			return damage("event %d is not readable", n)
		case ev.Before != at:
			return damage("event %d does not follow from the one before it", n)
		}
		last, at = n, hash(v)
		return nil
	})
	if err != nil {
		return err
	}
	if head := string(meta.Get(keyHead)); at != head {
		return damage("the last event is not the one that was written last")
	}
	return nil
}

// hash of an event includes that of all before it, by event.Before.
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func number(k []byte) uint64 {
	if len(k) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(k)
}
