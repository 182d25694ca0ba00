package metrics

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// family describes the metrics of one name. A label is an id that the centre knows, such
// as that of an account, a collection or an agreement; it is never a value of the objects
// or requests that partners send, of which there is no end.
type family struct {
	name   string
	help   string // one sentence
	labels []string
}

var families = []family{
	{"comity_ready", "1 if the store can be written to, 0 if pushes are refused.", nil},
	{"comity_request_seconds", "Time from the request line to the last byte of the answer.", []string{"route", "method", "status"}},
	{"comity_response_bytes_total", "Bytes of answers, as sent.", []string{"route"}},
	{"comity_objects_total", "Objects served (out), accepted in pushes (in) and refused in pushes (refused).", []string{"direction"}},
	{"comity_refused_logins_total", "Requests that could not prove who sends them, by reason.", []string{"reason"}},
	{"comity_refusals_total", "Requests that an agreement refused, by article; without an article, the reason was a quota, or that the organisation is suspended or has withdrawn.", []string{"agreement", "article"}},

	{"comity_commit_seconds", "Time that a commit of the store took to reach the disk.", nil},
	{"comity_commit_queue", "Changes that wait for the next commit.", nil},
	{"comity_store_bytes", "Size of the file of the store.", nil},
	{"comity_disk_free_bytes", "Free room on the disk that has the store.", nil},
	{"comity_replica_lag_seconds", "How long ago the replica was up to date, if pages are read from one.", nil},
	{"comity_store_pages_total", "Pages that were read from the database, by from: replica or primary; if there is a replica.", []string{"from"}},
	{"comity_page_cache_bytes", "Memory of the cache of pages.", nil},
	{"comity_page_cache_lookups_total", "Pages that were asked for, by result: hit if the cache had them, else miss.", []string{"result"}},
	{"comity_audit_waiting", "Entries in memory, such as deliveries, that the audit record does not have yet.", nil},

	{"comity_last_poll_timestamp_seconds", "When an account last read objects, 0 if not since the server started; for every account that may log in.", []string{"account"}},
	{"comity_poll_lag_seconds", "For how long objects of a collection have waited for an account, 0 if it has all; for what it has read since the server started.", []string{"account", "collection"}},
	{"comity_account_expires_timestamp_seconds", "When an account expires, if within 30 days.", []string{"account"}},
	{"comity_token_expires_timestamp_seconds", "When a token expires, if within 30 days.", []string{"account", "token"}},
	{"comity_certificate_expires_timestamp_seconds", "When the certificate of the server expires (server), and the first of its issuers that the server sends with it (ca).", []string{"certificate"}},

	{"comity_feed_reads_total", "Requests for files and streams of a feed, by status.", []string{"feed", "status"}},
	{"comity_feed_last_read_timestamp_seconds", "When a feed was last asked for, now while a stream is open, 0 if not since the server started.", []string{"feed"}},
	{"comity_feed_streams", "Open streams of events of a feed.", []string{"feed"}},
	{"comity_feed_entries", "Entries of a feed by kind; 0 only for the kinds that its file names.", []string{"feed", "kind"}},
	{"comity_feed_changed_timestamp_seconds", "When the entries of a feed last changed.", []string{"feed"}},
	{"comity_feed_webhook_taken_timestamp_seconds", "When the receiver of a webhook last took a message, 0 if never.", []string{"feed"}},
	{"comity_feed_webhook_failures", "Attempts to send a webhook that failed since then.", []string{"feed"}},
	{"comity_feed_webhook_given_up", "1 if no more messages are sent to the receiver of a webhook.", []string{"feed"}},

	{"comity_agreements", "Agreements by state.", []string{"state"}},
	{"comity_agreement_changes_timestamp_seconds", "When the state of an agreement next changes by itself, such as at the end of its term.", []string{"agreement", "state"}},
	{"comity_link_lag_seconds", "Time since a link that is not paused was last up to date with the other server.", []string{"link"}},
	{"comity_link_interval_seconds", "Time between two runs of a link.", []string{"link"}},
	{"comity_link_failures", "Runs of a link that failed since the last that succeeded.", []string{"link"}},
	{"comity_link_last_success_timestamp_seconds", "When a link last ran without a failure, 0 if never.", []string{"link"}},
	{"comity_link_objects", "Objects that a link has brought in (in) or sent (out), and those that were refused (refused), since it was added.", []string{"link", "direction"}},
	{"comity_link_withdrawn", "Objects that a link has sent and that were removed here since: somebody has to ask for their deletion.", []string{"link"}},
	{"comity_leader", "1 if this server does that duty for all servers on the store.", []string{"duty"}},
	{"comity_operation_lag_seconds", "Time since an operation was up to date with the audit record.", []string{"operation"}},
}

// WriteReference writes the name, the labels and the help of each metric, those of the Go
// runtime and the process included.
func WriteReference(w io.Writer) error {
	rows := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, f := range families {
		name := f.name
		if len(f.labels) > 0 {
			name += "{" + strings.Join(f.labels, ",") + "}"
		}
		fmt.Fprintf(rows, "%s\t%s\n", name, f.help)
	}
	standard, err := New().registry.Gather()
	if err != nil {
		return err
	}
	for _, f := range standard {
		if !strings.HasPrefix(f.GetName(), "comity_") {
			fmt.Fprintf(rows, "%s\t%s\n", f.GetName(), f.GetHelp())
		}
	}
	return rows.Flush()
}
