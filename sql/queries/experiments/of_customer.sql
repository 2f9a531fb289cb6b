-- A row is one experiment that a customer takes part in, with the variant of the first recommendation, which counts.
SELECT
    experiment_id,
    toString(argMin(variant, (decided_at, recommendation_id))) AS variant,
    toUnixTimestamp64Milli(min(decided_at)) AS assigned_at_ms,
    toUnixTimestamp64Milli(max(decided_at)) AS last_decided_at_ms
FROM variant_assignment_log
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
GROUP BY experiment_id
ORDER BY experiment_id
