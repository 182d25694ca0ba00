-- +goose Up

-- The timeline of the primary tells a replica that follows it from one that has records which
-- a failover has lost.
ALTER TABLE meta ADD COLUMN timeline bigint NOT NULL DEFAULT 0;
