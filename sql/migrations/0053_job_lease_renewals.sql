-- One row is one renewal of one term of the lease of the background jobs, by its holder; the newest counts.
-- Written every few seconds; whoever waits for the lease reads how long it has been silent: few rows, by term.
CREATE TABLE job_lease_renewals
(
    term UInt64 COMMENT 'The term in job_lease_claims',
    lease_ms UInt32 COMMENT 'After this many milliseconds without another renewal others may take the lease',
    is_released Bool DEFAULT false COMMENT 'Whether the holder has stopped, and others may take the lease at once',
    renewed_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When, by the clock of the database; the version of the row'
)
ENGINE = ReplacingMergeTree(renewed_at)
ORDER BY term
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'When the lease of the background jobs was last renewed'
