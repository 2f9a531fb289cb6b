-- The row is the newest term of the lease, its holder, and for how long the holder may rely on it, by the clock of the
-- database: not above 0 means that others may take it. Renewals of earlier terms may hold beside it, released ones do
-- not. No row before the first term.
WITH (SELECT max(term) FROM job_lease_claims) AS newest
SELECT
    c.term AS term,
    c.holder AS holder,
    toInt64(if(r.term = 0, c.lease_ms, r.lease_ms)) - dateDiff('millisecond', if(r.term = 0, c.claimed_at, r.renewed_at), now64(3)) AS expires_in_ms,
    dateDiff('millisecond', if(r.term = 0, c.claimed_at, r.renewed_at), now64(3)) AS silent_ms,
    r.is_released AS is_released,
    (
        SELECT max(if(is_released, 0, toInt64(lease_ms) - dateDiff('millisecond', renewed_at, now64(3))))
        FROM job_lease_renewals FINAL
        WHERE term < newest
    ) AS earlier_expires_in_ms
FROM
(
    SELECT
        term,
        argMin(holder, _block_number) AS holder,
        argMin(lease_ms, _block_number) AS lease_ms,
        argMin(claimed_at, _block_number) AS claimed_at
    FROM job_lease_claims
    WHERE term = newest
    GROUP BY term
) AS c
LEFT JOIN (SELECT term, lease_ms, renewed_at, is_released FROM job_lease_renewals FINAL WHERE term = newest) AS r ON r.term = c.term
