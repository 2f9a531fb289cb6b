-- A row is an enrolment and the attempt that was stored first, and so counts, at one version.
-- Frame: attempted_enrolments (tenant_id, customer_id, journey_id, enrollment_id, version).
SELECT
    enrollment_id,
    argMin(change_id, _block_number) AS change_id
FROM journey_enrollment_versions
WHERE (tenant_id, customer_id, journey_id, enrollment_id, version) IN (
    SELECT tenant_id, customer_id, journey_id, enrollment_id, version FROM attempted_enrolments
)
GROUP BY enrollment_id
