-- A row is an enrolment and the attempt that was stored first, and so counts, at one version.
-- Frame: attempted_enrolments (tenant_id, customer_id, journey_id, enrolment_id, version).
SELECT
    enrolment_id,
    argMin(change_id, _block_number) AS change_id
FROM journey_enrolment_versions
WHERE (tenant_id, customer_id, journey_id, enrolment_id, version) IN (
    SELECT tenant_id, customer_id, journey_id, enrolment_id, version FROM attempted_enrolments
)
GROUP BY enrolment_id
