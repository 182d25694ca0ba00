-- Grants the roles that exist what each of them needs. It is applied after each migration,
-- so a role may be created later.
DO $$ BEGIN
	IF to_regrole('comity_server') IS NOT NULL THEN
		GRANT SELECT, INSERT, UPDATE, DELETE ON meta, directory, document, collection, live, hist, due, push, part, entry, chain, quarantine, quota, blocked_content, blocked_identity, process, fence, fence_held, duty TO comity_server;
		GRANT SELECT, INSERT ON link TO comity_server;
		GRANT SELECT ON goose_db_version TO comity_server;
		GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO comity_server;
		GRANT EXECUTE ON FUNCTION drop_links TO comity_server;
	END IF;
	IF to_regrole('comity_reader') IS NOT NULL THEN
		GRANT SELECT ON collection, live, hist, due, link, chain TO comity_reader;
	END IF;
	IF to_regrole('comity_backup') IS NOT NULL THEN
		GRANT SELECT ON ALL TABLES IN SCHEMA public TO comity_backup;
		GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO comity_backup;
	END IF;
END $$;
