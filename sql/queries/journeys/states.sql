-- A row is one of the enrolments asked for, as it stands now.
-- Frame: asked_enrollments (tenant_id, customer_id, journey_id, enrollment_id).
SELECT
    toString(tenant_id) AS tenant_id,
    argMax(state, (version, -toInt64(_block_number))) AS state
FROM journey_enrollment_versions
WHERE (tenant_id, customer_id, journey_id, enrollment_id) IN (
    SELECT tenant_id, customer_id, journey_id, enrollment_id FROM asked_enrollments
)
GROUP BY tenant_id, customer_id, journey_id, enrollment_id
