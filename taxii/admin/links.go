package admin

import (
	"context"

	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/link"
)

// AddLink takes a link, of which it sets Added and the alias of the collection. The errors
// are those of [exchange.Directory.AddLink] and [link.Service.Check].
func (s *Service) AddLink(ctx context.Context, by Actor, in exchange.Link) (out link.Status, err error) {
	policy, _, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	in.Added = s.now()
	if c, ok := policy.Collection(in.Collection, in.Added); ok {
		in.Collection = c.Alias
	}
	if err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		if err := d.AddLink(in); err != nil {
			return nil, err
		}
		l := d.Links[in.Name]
		newest, err := s.current.Snapshot(ctx)
		if err == nil {
			err = s.links.Check(newest, l)
		}
		if err != nil {
			return nil, err
		}
		return linkEntry(d, by, l, "link %s added: %s of %s by %s, server %s", l.Name, l.Direction, l.Collection, l.Account, l.Server())
	}); err != nil {
		return out, err
	}
	return s.links.Status(ctx, in.Name)
}

// linkEntry is the entry of a change of a link. It concerns the organisation of its account.
func linkEntry(d *exchange.Directory, by Actor, l *exchange.Link, format string, args ...any) ([]audit.Entry, error) {
	account, err := d.Account(l.Account)
	if err != nil {
		return nil, err
	}
	return directoryEntry(d, by, account.Org, format, args...), nil
}

// Links are all links with what they have done, by name.
func (s *Service) Links(ctx context.Context) ([]link.Status, error) { return s.links.List(ctx) }

// Link is one link; NotFound if there is none.
func (s *Service) Link(ctx context.Context, name string) (link.Status, error) {
	return s.links.Status(ctx, name)
}

// RunLink runs a link now. The errors are those of [link.Service.RunNow].
func (s *Service) RunLink(ctx context.Context, name string) (link.Status, error) {
	return s.links.RunNow(ctx, name)
}

// PauseLink ends the runs of a link until ResumeLink.
func (s *Service) PauseLink(ctx context.Context, by Actor, name string) (link.Status, error) {
	return s.setPaused(ctx, by, name, true)
}

// ResumeLink lets a paused link run again, from where it stopped.
func (s *Service) ResumeLink(ctx context.Context, by Actor, name string) (link.Status, error) {
	return s.setPaused(ctx, by, name, false)
}

func (s *Service) setPaused(ctx context.Context, by Actor, name string, paused bool) (out link.Status, err error) {
	if err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		l, err := d.Link(name)
		if err != nil || l.Paused == paused {
			return nil, err
		}
		l.Paused = paused
		verb := "resumed"
		if paused {
			verb = "paused"
		}
		return linkEntry(d, by, l, "link %s %s", name, verb)
	}); err != nil {
		return out, err
	}
	return s.links.Status(ctx, name)
}

// ClearLink empties the list of withdrawn objects of a link, once they are deleted at the
// other server.
func (s *Service) ClearLink(ctx context.Context, by Actor, name string) (link.Status, error) {
	out, err := s.links.Status(ctx, name)
	if err != nil || len(out.Withdrawn) == 0 {
		return out, err
	}
	if err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		l, err := d.Link(name)
		if err != nil {
			return nil, err
		}
		return linkEntry(d, by, l, "link %s: %d withdrawn objects cleared from its list", name, len(out.Withdrawn))
	}); err != nil {
		return out, err
	}
	if err := s.links.Clear(ctx, name); err != nil {
		return out, err
	}
	return s.links.Status(ctx, name)
}

// RemoveLink removes a link, with its position; NotFound if there is none.
func (s *Service) RemoveLink(ctx context.Context, by Actor, name string) (out exchange.Link, err error) {
	if err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		l, err := d.Link(name)
		if err != nil {
			return nil, err
		}
		out = *l
		delete(d.Links, name)
		return linkEntry(d, by, l, "link %s removed", name)
	}); err != nil {
		return out, err
	}
	return out, s.links.Forget(ctx, name)
}
