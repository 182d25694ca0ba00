package agreement

// Amends finds the problems with a as the next version of old, which is deposited already.
// It must have the same id and kind, a higher version, and the digest of old in replaces.
// All problems are errors.
func (a *Agreement) Amends(old *Agreement) Problems {
	l := linter{a: a}
	if a.ID != old.ID {
		l.failFile("id", "%s amends %s: an amendment keeps the id; write id = %[2]q", a.ID, old.ID)
	}
	if a.Kind != old.Kind {
		l.failFile("kind", "%s amends a %s: an amendment keeps the kind; write kind = %[2]q", a.Kind, old.Kind)
	}
	if a.Version <= old.Version {
		l.failFile("version", "%d amends version %d: write version = %d or higher", a.Version, old.Version, old.Version+1)
	}
	switch a.Replaces {
	case old.digest:
	case "":
		l.failFile("replaces", "missing: write replaces = %q, the digest of version %d", old.digest, old.Version)
		l.problems[len(l.problems)-1].Line = a.lineOf("version") // replaces belongs below version
	default:
		l.failFile("replaces", "not the digest of version %d: write replaces = %q", old.Version, old.digest)
	}
	l.problems.sort()
	return l.problems
}
