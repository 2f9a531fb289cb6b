-- A row is one day on which claims were written, in days since 1970, with their number.
SELECT
    toUInt16(toDate(stored_at)) AS day,
    count() AS claims
FROM event_claims
WHERE stored_at >= now64(3) - toIntervalHour({hours:UInt32})
GROUP BY day
ORDER BY day
