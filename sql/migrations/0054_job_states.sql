-- One row is the state of one background job, by one write of the process that runs it; the newest counts. The next
-- process goes on from it: a daily job is not done again because a process was restarted.
-- A handful of jobs, read whole.
CREATE TABLE job_states
(
    job LowCardinality(String) COMMENT 'Name of the job',
    started_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the latest pass',
    duration_s Nullable(Float64) COMMENT 'Duration of the latest pass that has ended, in seconds',
    succeeded_at Nullable(DateTime64(3, 'UTC')) COMMENT 'End of the latest pass that succeeded',
    failed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'End of the latest pass that failed',
    error Nullable(String) COMMENT 'Type of its error; the logs have the text',
    failures UInt32 COMMENT 'Failed passes since the last success',
    due_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the next pass; null while one runs',
    version UInt64 COMMENT 'Ascends with the term of the lease, and within it: a late write of an earlier holder does not count',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY job
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'State of the background jobs'
