-- +goose Up

-- A program of schema 1 holds this lock while it uses the database, and it would not notice
-- the others.
-- +goose StatementBegin
DO $$ BEGIN
	IF NOT pg_try_advisory_xact_lock(109330228147321) THEN
		RAISE EXCEPTION 'a program of an older version uses the database: end it before the migration';
	END IF;
END $$;
-- +goose StatementEnd
ALTER TABLE meta DROP COLUMN epoch, DROP COLUMN released;

-- Each program that has the store open has a row. A program that has fallen silent is
-- buried: another one deletes its row.
CREATE TABLE process (
	id         uuid PRIMARY KEY,
	joined     timestamptz,       -- since when it serves; null: it does not
	address    text NOT NULL,     -- where it serves
	version    text NOT NULL,     -- of the program
	settings   jsonb NOT NULL,    -- which all that serve must share
	backend    text NOT NULL,     -- application_name of its connections
	beat       bigint NOT NULL DEFAULT 0, -- grows twice a second while it is alive
	heard      timestamptz NOT NULL, -- when it was alive last, by its own clock
	ended      bool NOT NULL DEFAULT false, -- it has closed the store, but did not leave in good order
	generation bigint NOT NULL DEFAULT 0 -- of the directory that it knows
) WITH (fillfactor = 50);
INSERT INTO process (id, joined, address, version, settings, backend, heard, ended)
	SELECT gen_random_uuid(), t, '', '', '{}', '', t, true FROM chain, to_timestamp(time / 1e6) t WHERE open;

-- While a collection has a fence, no process lets a page of it go to a reader.
CREATE TABLE fence (
	id         uuid PRIMARY KEY,
	collection uuid NOT NULL UNIQUE,
	owner      uuid NOT NULL REFERENCES process ON DELETE CASCADE
);
CREATE TABLE fence_held (
	fence   uuid NOT NULL REFERENCES fence ON DELETE CASCADE,
	process uuid NOT NULL REFERENCES process ON DELETE CASCADE, -- which holds up its readers
	PRIMARY KEY (fence, process)
);

CREATE TABLE duty (
	name   text COLLATE "C" PRIMARY KEY,
	leader uuid REFERENCES process ON DELETE SET NULL,
	epoch  bigint NOT NULL -- counts the leaders
);
