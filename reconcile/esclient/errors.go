package esclient

import (
	"errors"
	"fmt"
)

// A Kind says what is known after a failed Write.
type Kind string

// The kinds.
const (
	// KindNotSent is a change that did not leave: it is malformed, or nobody proved to be the declared cluster.
	KindNotSent Kind = "not sent"
	// KindRefused is a change that Elasticsearch answered it will not make. Sending it again will not help.
	KindRefused Kind = "refused"
	// KindUnknown is a change that may or may not have happened. Look, before it is decided again.
	KindUnknown Kind = "unknown"
)

// An Error is a failed Write.
type Error struct {
	Op       string // what was to be done, for a person
	Endpoint string // "" if nothing was sent
	Kind     Kind
	Status   int // of the answer, 0 if there was none
	Err      error
}

func (e *Error) Error() string {
	switch e.Kind {
	case KindNotSent:
		return fmt.Sprintf("%s: nothing was sent: %v", e.Op, e.Err)
	case KindRefused:
		return fmt.Sprintf("%s: %s refuses: %v", e.Op, e.Endpoint, e.Err)
	}
	return fmt.Sprintf("%s: it may or may not have happened at %s, look again: %v", e.Op, e.Endpoint, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Unknown says that a Write may have happened. An error of another origin is unknown too.
func Unknown(err error) bool {
	var e *Error
	return err != nil && (!errors.As(err, &e) || e.Kind == KindUnknown)
}

// Refused says that Elasticsearch answered that it did not make a change.
func Refused(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == KindRefused
}
