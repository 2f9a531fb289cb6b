-- A row is one of the given interactions, with the columns of view interactions. Interactions that a crash wrote twice
-- are returned twice: the caller deduplicates by id, which is cheaper than FINAL. Ids are unique among all tenants, but
-- the caller pairs them with tenants too.
SELECT
    toString(i.tenant_id) AS tenant_id,
    i.customer_id AS customer_id,
    i.id AS id,
    i.occurred_at AS occurred_at,
    toString(i.outcome) AS outcome,
    toString(i.direction) AS direction,
    nullIf(i.offer_id, '') AS offer_id,
    nullIf(i.creative_id, '') AS creative_id,
    nullIf(i.channel_id, '') AS channel_id,
    nullIf(i.placement_id, '') AS placement_id,
    i.conversion_value AS conversion_value,
    nullIf(i.recommendation_id, '') AS recommendation_id,
    nullIf(i.rank, 0) AS rank,
    i.idempotency_key AS idempotency_key,
    i.context AS context,
    i.outcome_details AS outcome_details,
    i.metadata AS metadata
FROM interaction_log AS i
WHERE i.tenant_id IN {tenants:Array(String)}
    AND i.customer_id IN {customers:Array(String)}
    AND i.id IN {ids:Array(String)}
SETTINGS max_threads = 1
