-- A row is the state of one background job; times in epoch milliseconds.
SELECT
    toString(job) AS job,
    toUnixTimestamp64Milli(started_at) AS started_at_ms,
    duration_s,
    toUnixTimestamp64Milli(succeeded_at) AS succeeded_at_ms,
    toUnixTimestamp64Milli(failed_at) AS failed_at_ms,
    error,
    failures,
    toUnixTimestamp64Milli(due_at) AS due_at_ms
FROM job_states FINAL
