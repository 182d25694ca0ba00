package feed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"sync"

	"comity/taxii/exchange"
)

// Kept tells how much is kept in memory.
func (s *Service) Kept() string {
	return fmt.Sprintf("definitions %d, indexes %d, listings %d, bodies %d, pulls %d",
		len(s.definitions), len(s.indexes), len(s.listings), len(s.bodies.bodies), len(s.figures.feeds))
}

// Program identifies the program in the tables that it writes.
func Program() string { return program() }

// OpenNow opens a feed as it is at this moment, also for a zone.
func (s *Service) OpenNow(ctx context.Context, p exchange.Principal, id string, family Family) (*Answer, error) {
	return s.open(ctx, p, id, family)
}

// Resumed tells whether the answer was made from what a former process had worked out.
func (a *Answer) Resumed() bool { return a.Entries.checkNever }

// Rewind makes the answer that of a zone, if it need not wait for the end of a second.
func (a *Answer) Rewind() bool { return a.rewind() }

// WriteTables writes the tables anew that are out of date.
func (s *Service) WriteTables(ctx context.Context) error { return s.writeTables(ctx) }

// SendWebhooks sends the messages that are due, and waits for their outcomes. certificates
// are those that receivers may have.
func (s *Service) SendWebhooks(ctx context.Context, certificates *x509.CertPool) error {
	s.TrustReceivers(certificates)
	var sending sync.WaitGroup
	err := s.followWebhooks(ctx, &sending)
	sending.Wait()
	return err
}

// TrustReceivers sets the certificates that receivers may have.
func (s *Service) TrustReceivers(certificates *x509.CertPool) {
	s.sender.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: certificates}
}
