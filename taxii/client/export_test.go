package client

import (
	"io"
	"net/http"
	"time"
)

// Hasten makes the waits before retries short.
func (c *Client) Hasten() { c.wait = time.Millisecond }

// ReadPage reads the answer to a request for objects. It returns the number of elements.
func ReadPage(h http.Header, body io.Reader) (int, error) {
	var p rawPage
	p.readDates(h)
	err := p.readObjects(body)
	return len(p.hashes) + len(p.faults), err
}

// Refusal reads an error answer.
func Refusal(answer *http.Response) error { return checkAnswer(answer, answer.Body) }
