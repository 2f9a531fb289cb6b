-- A row is a due enrolment, of all tenants: the longest waiting of each tenant, then the second of each, and so on, so
-- that a tenant with many does not delay the others.
-- Frame: paused_journeys (tenant_id, journey_id), whose enrolments wait.
SELECT
    toString(tenant_id) AS tenant_id,
    customer_id,
    toString(journey_id) AS journey_id,
    enrolment_id
FROM
(
    SELECT
        tenant_id,
        customer_id,
        journey_id,
        enrolment_id,
        argMax((status, due_at), (version, -toInt64(_block_number))) AS newest
    FROM journey_enrolment_versions
    WHERE tenant_id IN {tenants:Array(String)} AND (tenant_id, journey_id) NOT IN paused_journeys
    GROUP BY tenant_id, customer_id, journey_id, enrolment_id
)
WHERE newest.1 = 'active' AND newest.2 <= {now:DateTime64(3, 'UTC')}
ORDER BY row_number() OVER (PARTITION BY tenant_id ORDER BY newest.2, enrolment_id), newest.2, enrolment_id
LIMIT {limit:UInt32}
