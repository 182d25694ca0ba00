package taxii_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"comity/taxii"
)

func TestCodeSurvivesWrapping(t *testing.T) {
	missing := taxii.Errorf(taxii.NotFound, "there is no %s", "object")
	tests := []struct {
		name string
		err  error
		want taxii.Code
	}{
		{"itself", missing, taxii.NotFound},
		{"wrapped", fmt.Errorf("scan: %w", fmt.Errorf("page: %w", missing)), taxii.NotFound},
		{"joined", errors.Join(io.EOF, missing), taxii.NotFound},
		{"the outer of two", &taxii.Error{Code: taxii.Invalid, Msg: "no", Err: missing}, taxii.Invalid},
		{"any other error", io.EOF, taxii.Internal},
		{"none", nil, taxii.Internal},
	}
	for _, tt := range tests {
		if got := taxii.CodeOf(tt.err); got != tt.want {
			t.Errorf("%s: code %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Err is for our log: what the other party reads is Msg alone.
func TestErrorKeepsItsCauseApart(t *testing.T) {
	err := &taxii.Error{Code: taxii.Unavailable, Msg: "the disk is full", Err: io.ErrShortWrite}
	if got, want := err.Msg, "the disk is full"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if got, want := err.Error(), "the disk is full: short write"; got != want {
		t.Errorf("for the log %q, want %q", got, want)
	}
	if !errors.Is(err, io.ErrShortWrite) {
		t.Error("the cause is lost")
	}
	if got, want := taxii.Errorf(taxii.Invalid, "%d%%", 5).Error(), "5%"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// error_code travels, and clients of other versions read it.
func TestCodesNeverChange(t *testing.T) {
	for code, want := range map[taxii.Code]string{
		taxii.Invalid: "invalid", taxii.Unauthorized: "unauthorized", taxii.Forbidden: "forbidden",
		taxii.NotFound: "not-found", taxii.NotAllowed: "method", taxii.Unacceptable: "not-acceptable",
		taxii.Timeout: "timeout", taxii.TooLarge: "too-large", taxii.Unsupported: "media-type",
		taxii.Unprocessed: "unprocessable", taxii.TooMany: "too-many", taxii.Conflict: "conflict",
		taxii.Unavailable: "unavailable", taxii.Internal: "internal", taxii.BadGateway: "bad-gateway",
	} {
		if string(code) != want {
			t.Errorf("code %q, want %q", code, want)
		}
	}
}

// A client gets the code that the server meant, also where the answer has no error_code.
func TestStatusGivesTheCodeBack(t *testing.T) {
	for _, code := range []taxii.Code{
		taxii.Invalid, taxii.Unauthorized, taxii.Forbidden, taxii.NotFound, taxii.NotAllowed, taxii.Unacceptable, taxii.Timeout, taxii.TooLarge,
		taxii.Unsupported, taxii.Unprocessed, taxii.TooMany, taxii.Conflict, taxii.Precondition, taxii.Unavailable, taxii.Internal, taxii.BadGateway,
	} {
		if got := taxii.CodeOfStatus(code.Status()); got != code {
			t.Errorf("status %d: code %s, want %s", code.Status(), got, code)
		}
	}
	for status, want := range map[int]taxii.Code{418: taxii.Invalid, 504: taxii.Unavailable, 507: taxii.Internal, 301: taxii.BadGateway, 0: taxii.BadGateway} {
		if got := taxii.CodeOfStatus(status); got != want {
			t.Errorf("status %d: code %s, want %s", status, got, want)
		}
	}
}
