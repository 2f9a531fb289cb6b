-- A row is the newest version of one of the given enrolments: its state, and the parts of it that are columns too, in
-- case the state cannot be decoded.
-- Frame: queried_enrolments (tenant_id, customer_id, journey_id, enrolment_id).
SELECT
    toString(tenant_id) AS tenant_id,
    customer_id,
    toString(journey_id) AS journey_id,
    enrolment_id,
    newest.1 AS version,
    newest.2 AS journey_version,
    newest.3 AS status,
    newest.4 AS step,
    newest.5 AS due_at_ms,
    newest.6 AS enrolled_at_ms,
    newest.7 AS ended_at_ms,
    newest.8 AS state
FROM
(
    SELECT
        tenant_id,
        customer_id,
        journey_id,
        enrolment_id,
        argMax(
            (
                version,
                journey_version,
                toString(status),
                step,
                toUnixTimestamp64Milli(due_at),
                toUnixTimestamp64Milli(enrolled_at),
                toUnixTimestamp64Milli(ended_at),
                state
            ),
            (version, -toInt64(_block_number))
        ) AS newest
    FROM journey_enrolment_versions
    WHERE (tenant_id, customer_id, journey_id, enrolment_id) IN (
        SELECT tenant_id, customer_id, journey_id, enrolment_id FROM queried_enrolments
    )
    GROUP BY tenant_id, customer_id, journey_id, enrolment_id
)
