package taxii

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code says what a caller may do about a failure. It travels as error_code,
// so values are added, never changed.
type Code string

// The codes, with what the caller should do.
const (
	Invalid      Code = "invalid"        // correct the request
	Unauthorized Code = "unauthorized"   // send other credentials
	Forbidden    Code = "forbidden"      // another right is needed
	NotFound     Code = "not-found"      // absent, or not for this caller
	NotAllowed   Code = "method"         // the endpoint has other methods
	Unacceptable Code = "not-acceptable" // ask for another media type
	Timeout      Code = "timeout"        // send faster
	TooLarge     Code = "too-large"      // send less
	Unsupported  Code = "media-type"     // send another media type
	Unprocessed  Code = "unprocessable"  // well-formed, but no envelope
	TooMany      Code = "too-many"       // come back later
	Conflict     Code = "conflict"       // the resource exists already, or its state forbids the request
	Precondition Code = "precondition"   // the resource does not meet a condition of the request
	Unavailable  Code = "unavailable"    // come back later
	BadGateway   Code = "bad-gateway"    // another server answered, but not as TAXII 2.1 says
	Internal     Code = "internal"       // quote the error id to the operator
)

// statuses maps each code to its HTTP status. No other place does. Two codes never share
// a status, so that [CodeOfStatus] can go back.
var statuses = map[Code]int{
	Invalid:      http.StatusBadRequest,
	Unauthorized: http.StatusUnauthorized,
	Forbidden:    http.StatusForbidden,
	NotFound:     http.StatusNotFound,
	NotAllowed:   http.StatusMethodNotAllowed,
	Unacceptable: http.StatusNotAcceptable,
	Timeout:      http.StatusRequestTimeout,
	Conflict:     http.StatusConflict,
	TooLarge:     http.StatusRequestEntityTooLarge,
	Unsupported:  http.StatusUnsupportedMediaType,
	Unprocessed:  http.StatusUnprocessableEntity,
	TooMany:      http.StatusTooManyRequests,
	Precondition: http.StatusPreconditionFailed,
	Unavailable:  http.StatusServiceUnavailable,
	BadGateway:   http.StatusBadGateway,
	Internal:     http.StatusInternalServerError,
}

// Status is the HTTP status of the code.
func (c Code) Status() int { return statuses[c] }

// CodeOfStatus is the code of an HTTP status that a server answered with. A status that no
// code has becomes Invalid (4xx), Unavailable (504), Internal (5xx) or BadGateway (others).
func CodeOfStatus(status int) Code {
	for code, s := range statuses {
		if s == status {
			return code
		}
	}
	switch {
	case status == http.StatusGatewayTimeout:
		return Unavailable
	case status >= 500:
		return Internal
	case status >= 400:
		return Invalid
	}
	return BadGateway
}

// Error is the one error that crosses package borders. Msg is safe to show
// to the other party; Err is for our log.
type Error struct {
	Code       Code
	Msg        string
	Err        error
	RetryAfter time.Duration // of TooMany and Unavailable; 0 if unknown
}

// Errorf makes an Error whose message the other party may read.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Msg: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the code of the first Error in the chain of err, Internal if there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
