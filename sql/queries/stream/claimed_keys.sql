-- A row is one claim whose key lies within a range, with the day on which it was written, in days since 1970.
SELECT
    key_hash,
    toUInt16(toDate(stored_at)) AS day
FROM event_claims
WHERE key_hash BETWEEN {first:UInt64} AND {last:UInt64} AND stored_at >= now64(3) - toIntervalHour({hours:UInt32})
