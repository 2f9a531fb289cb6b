-- One row is one attempt of one process at a term of the lease of the background jobs. The row of a term that was stored
-- first counts, and its process holds the lease: hence the engine, which never collapses, and the block number, which
-- ascends in the order in which inserts became visible. On a cluster that order needs quorum inserts one at a time
-- (insert_quorum_parallel = 0).
-- A row per start of a process, no more; the newest term is read.
CREATE TABLE job_lease_claims
(
    term UInt64 COMMENT 'Ascends by one with each holder',
    holder String COMMENT 'The process that attempts it: host, process id and a random part',
    lease_ms UInt32 COMMENT 'After this many milliseconds of silence the term may be taken from it',
    claimed_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When, by the clock of the database'
)
ENGINE = MergeTree
ORDER BY term
SETTINGS non_replicated_deduplication_window = 0, enable_block_number_column = 1
COMMENT 'Every attempt to hold the lease of the background jobs; of each term the first counts'
