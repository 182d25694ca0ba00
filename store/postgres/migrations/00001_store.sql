-- +goose Up

-- Dates are date_added in µs since 1970 (UTC), always whole milliseconds. An instant is a
-- point in time that sorts as bytes: seconds since 1970 with the sign bit flipped 8, and
-- nanoseconds 4, big-endian. A key is the beginning of SHA-256 of a STIX id.

CREATE TABLE meta (
	one        bool PRIMARY KEY DEFAULT true CHECK (one),
	generation bigint NOT NULL DEFAULT 0, -- of the directory
	epoch      bigint NOT NULL DEFAULT 0, -- counts the processes that have had the database
	released   bool   NOT NULL DEFAULT true, -- the last of them has ended in good order
	sealed     bigint NOT NULL DEFAULT 0, -- number of the last link that is archived
	seal       text   NOT NULL DEFAULT '' -- signed checkpoint of that link
);
INSERT INTO meta DEFAULT VALUES;

CREATE TABLE directory (
	name   text COLLATE "C" PRIMARY KEY, -- centre, or organisation/<id> and so on
	record bytea NOT NULL -- JSON
);
CREATE TABLE document (
	name    text COLLATE "C" PRIMARY KEY,
	content bytea NOT NULL
);

CREATE TABLE collection (
	n        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id       uuid NOT NULL UNIQUE,
	last     bigint NOT NULL DEFAULT 0, -- date that was given last
	past     bigint NOT NULL DEFAULT 0, -- grows when anything but a new id changes
	live     bigint NOT NULL DEFAULT 0, -- number of rows in live
	hist     bigint NOT NULL DEFAULT 0, -- number of rows in hist
	mixed    bigint NOT NULL DEFAULT 0, -- number of rows in both that are mixed
	timeline bigint NOT NULL DEFAULT 0  -- of the database when the last date was given
) WITH (fillfactor = 50);

-- live has the newest version of each id, hist the superseded versions. Every push locks
-- its row of collection first, so a collection has one writer at a time, and its records
-- become visible in the order of their dates.
CREATE TABLE live (
	added      bigint   NOT NULL, -- date
	until      bigint   NOT NULL, -- Unix second at which its retention ends; 0: never
	collection int      NOT NULL,
	sum        int      NOT NULL, -- CRC-32C of json
	spec       smallint NOT NULL, -- 20 or 21
	tlp        smallint NOT NULL,
	barred     smallint NOT NULL, -- actions, as bits
	none       bool     NOT NULL, -- the object states no version: instant is added
	mixed      bool     NOT NULL, -- some callers are to get another version of the id than the newest
	key        uuid     NOT NULL,
	instant    bytea    NOT NULL, -- of the version
	type       text COLLATE "C" NOT NULL,
	json       bytea    NOT NULL  -- the object as it came
) PARTITION BY HASH (collection);
CREATE TABLE hist (LIKE live) PARTITION BY HASH (collection);

-- +goose StatementBegin
DO $$ BEGIN
	FOR i IN 0..7 LOOP
		EXECUTE format('CREATE TABLE live_%s PARTITION OF live FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
		EXECUTE format('CREATE TABLE hist_%s PARTITION OF hist FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
	END LOOP;
END $$;
-- +goose StatementEnd

ALTER TABLE live ADD PRIMARY KEY (collection, added);
CREATE UNIQUE INDEX live_key ON live (collection, key);
CREATE INDEX live_type ON live (collection, type, added);
ALTER TABLE hist ADD PRIMARY KEY (collection, added);
CREATE INDEX hist_key ON hist (collection, key);

CREATE TABLE due (
	collection int    NOT NULL,
	day        bigint NOT NULL, -- since 1970
	n          bigint NOT NULL, -- number of records whose retention ends on that day
	PRIMARY KEY (collection, day)
) WITH (fillfactor = 50);

CREATE TABLE push (
	id         uuid PRIMARY KEY,
	collection uuid  NOT NULL,
	account    text  NOT NULL,
	requested  bytea NOT NULL, -- instant
	successes  int   NOT NULL,
	failures   int   NOT NULL,
	stored     int   NOT NULL,
	parts      int   NOT NULL,
	complete   bool  NOT NULL
);
CREATE INDEX push_requested ON push (requested);
CREATE INDEX push_collection ON push (collection);
CREATE TABLE part (
	push  uuid  NOT NULL,
	n     int   NOT NULL,
	frame bytea NOT NULL, -- the outcomes, compressed
	PRIMARY KEY (push, n)
);

-- Audit entries commit into entry. A moment later they become links of the chain, in the
-- order of n, which those of one collection get while it is locked.
CREATE TABLE entry (
	n    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	body bytea NOT NULL -- JSON
);
CREATE TABLE chain (
	one    bool PRIMARY KEY DEFAULT true CHECK (one),
	number bigint NOT NULL, -- of the last link
	hash   bytea  NOT NULL,
	open   bool   NOT NULL,
	time   bigint NOT NULL  -- of the last link, in µs since 1970
);
INSERT INTO chain VALUES (true, 0, decode(repeat('00', 32), 'hex'), false, 0);
CREATE TABLE link (
	number     bigint PRIMARY KEY,
	hash       bytea NOT NULL,
	body       bytea NOT NULL,
	collection uuid,   -- of a delivery or gap, with its span of dates; otherwise null
	first      bigint,
	last       bigint,
	class      int     -- number of bits of last - first
);
CREATE INDEX link_delivered ON link (collection, class, first) WHERE collection IS NOT NULL;

CREATE TABLE quarantine (
	number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	collection uuid  NOT NULL,
	note       bytea NOT NULL, -- JSON
	object     bytea NOT NULL
);
CREATE INDEX quarantine_collection ON quarantine (collection);

CREATE TABLE quota (
	agreement text COLLATE "C" NOT NULL,
	org       text COLLATE "C" NOT NULL,
	day       date   NOT NULL,
	n         bigint NOT NULL, -- pushes begun that day
	PRIMARY KEY (agreement, org, day)
);

CREATE TABLE blocked_content (
	digest bytea NOT NULL, -- of origin and canonical content
	reason text COLLATE "C" NOT NULL,
	PRIMARY KEY (digest, reason)
);
CREATE TABLE blocked_identity (
	identity text COLLATE "C" NOT NULL, -- STIX id
	reason   text COLLATE "C" NOT NULL,
	origin   text NOT NULL, -- organisation
	PRIMARY KEY (identity, reason)
);

-- The server may read links and add to them. It deletes archived ones by this function
-- only, so that it cannot delete a link that is not archived yet.
-- +goose StatementBegin
CREATE FUNCTION drop_links(numbers bigint[]) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
	DELETE FROM link WHERE number = ANY (numbers) AND number <= (SELECT sealed FROM meta)
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION drop_links FROM PUBLIC;
