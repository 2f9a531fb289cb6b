-- A row is a customer who is, or was, in a journey, with the number of active enrolments.
-- Frame: queried_enrolments (tenant_id, customer_id, journey_id, enrolment_id).
SELECT
    toString(tenant_id) AS tenant_id,
    customer_id,
    toString(journey_id) AS journey_id,
    countIf(newest = 'active') AS active
FROM
(
    SELECT
        tenant_id,
        customer_id,
        journey_id,
        enrolment_id,
        argMax(status, (version, -toInt64(_block_number))) AS newest
    FROM journey_enrolment_versions
    WHERE (tenant_id, customer_id, journey_id) IN (SELECT tenant_id, customer_id, journey_id FROM queried_enrolments)
    GROUP BY tenant_id, customer_id, journey_id, enrolment_id
)
GROUP BY tenant_id, customer_id, journey_id
