package interp

import (
	"context"
	"errors"
	"fmt"
)

// Exit statuses of commands and of the program.
const (
	StatusOK          = 0
	StatusFailed      = 1
	StatusUsage       = 2   // wrong options, arguments or syntax
	StatusNotFound    = 3   // nothing was found, nobody answered
	StatusDenied      = 4   // not authorised
	StatusStart       = 5   // the peer could not start
	StatusTimedOut    = 124 // the time given by -w was over
	StatusInterrupted = 130 // stopped by Ctrl-C
)

// Codes of errors, as they stand in the JSON form.
const (
	CodeFailed      = "failed"
	CodeUsage       = "usage"
	CodeSyntax      = "syntax"
	CodeUnknown     = "unknown_command"
	CodeNotFound    = "not_found"
	CodeDenied      = "not_authorised"
	CodeStart       = "not_started"
	CodeTimedOut    = "timed_out"
	CodeInterrupted = "interrupted"
)

// An Error is why a command failed: one line for people, a code and a status for
// programs, and what to try next.
type Error struct {
	Status  int    // exit status
	Code    string // one of the Code constants
	Message string // one line, no full stop
	Hint    string // what to try; may be empty
	Err     error  // cause; may be nil

	told bool // the user knows it already
}

// Error returns the message and, if there is one, the cause behind it.
func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Message
	case e.Message == "":
		return trimPackage(e.Err)
	}
	return e.Message + ": " + trimPackage(e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Try sets what to try next and returns the error.
func (e *Error) Try(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Usagef is an error of wrong options or arguments.
func Usagef(format string, args ...any) *Error {
	return &Error{Status: StatusUsage, Code: CodeUsage, Message: fmt.Sprintf(format, args...)}
}

// NotFoundf is an error of something that is not there or does not answer.
func NotFoundf(format string, args ...any) *Error {
	return &Error{Status: StatusNotFound, Code: CodeNotFound, Message: fmt.Sprintf(format, args...)}
}

// TimedOutf is an error of a wait that took as long as -w allows.
func TimedOutf(format string, args ...any) *Error {
	return &Error{Status: StatusTimedOut, Code: CodeTimedOut, Message: fmt.Sprintf(format, args...)}
}

// Deniedf is an error of somebody not allowed to do what was asked.
func Deniedf(format string, args ...any) *Error {
	return &Error{Status: StatusDenied, Code: CodeDenied, Message: fmt.Sprintf(format, args...)}
}

// Failf is any other error.
func Failf(format string, args ...any) *Error {
	return &Error{Status: StatusFailed, Code: CodeFailed, Message: fmt.Sprintf(format, args...)}
}

// Because is an error with a cause, told as "message: cause".
func Because(err error, format string, args ...any) *Error {
	e := classify(err)
	return &Error{Status: e.Status, Code: e.Code, Message: fmt.Sprintf(format, args...), Err: err, Hint: e.Hint}
}

// errReaderGone is the cause that ends a command when nobody reads what it
// writes any longer.
var errReaderGone = errors.New("the next command has read enough")

// errInterrupted is the cause that ends a command on Ctrl-C.
var errInterrupted = errors.New("interrupted")

// classify turns any error of a command into an [Error].
func classify(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Status: StatusTimedOut, Code: CodeTimedOut, Message: "the time is over"}
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return &Error{Status: StatusInterrupted, Code: CodeInterrupted, Message: "interrupted"}
	}
	return &Error{Status: StatusFailed, Code: CodeFailed, Err: err}
}
