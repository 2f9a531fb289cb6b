-- A row is one interaction on the page of one of several requests that arrived together, newest first, and how many
-- interactions fulfil that request's filters on all its pages. A request has a row for each id of its customer, and reads
-- those of its own tenant only, because rows are joined to it by both. Reads narrow columns of the customers' whole histories; history/rows then has the rest.
-- Frame: history_requests (number, tenant, customer, the filters, before_id); empty: any.
SELECT number, tenant_id, customer_id, id, total
FROM
(
    SELECT
        r.number AS number,
        i.tenant_id AS tenant_id,
        i.customer_id AS customer_id,
        i.id AS id,
        r.before_id AS before_id,
        count() OVER (PARTITION BY r.number) AS total
    FROM
    (
        SELECT DISTINCT
            toString(tenant_id) AS tenant_id,
            customer_id,
            id,
            offer_id,
            creative_id,
            channel_id,
            toString(outcome) AS outcome,
            toString(direction) AS direction
        FROM interactions
        WHERE (tenant_id, customer_id) IN (SELECT tenant, customer FROM history_requests)
    ) AS i
    INNER JOIN history_requests AS r ON r.tenant = i.tenant_id AND r.customer = i.customer_id
    WHERE (r.offer_id = '' OR i.offer_id = r.offer_id)
        AND (r.creative_id = '' OR i.creative_id = r.creative_id)
        AND (r.channel_id = '' OR i.channel_id = r.channel_id)
        AND (r.outcome = '' OR i.outcome = r.outcome)
        AND (r.direction = '' OR i.direction = r.direction)
        AND i.id >= r.from_id
        AND i.id < r.to_id
)
WHERE id < before_id
ORDER BY number, id DESC
LIMIT {limit:UInt32} BY number
