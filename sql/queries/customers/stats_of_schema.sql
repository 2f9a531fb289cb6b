-- A row is the statistics of one attribute over the customers of a tenant. Values are JSON; each distinct one is
-- counted first, so that the ten most frequent ones are exact.
SELECT
    name,
    sum(customers) AS filled,
    count() AS distinct_count,
    minOrNull(toFloat64OrNull(value)) AS least_number,
    maxOrNull(toFloat64OrNull(value)) AS greatest_number,
    sumOrNull(toFloat64OrNull(value) * customers) / sumIf(customers, isNotNull(toFloat64OrNull(value))) AS mean,
    min(value) AS first_value,
    max(value) AS last_value,
    arrayMap(top -> top.2, groupArraySorted(10)((-toInt64(customers), value))) AS top_values,
    arrayMap(top -> -top.1, groupArraySorted(10)((-toInt64(customers), value))) AS top_counts
FROM
(
    SELECT
        pair.1 AS name,
        pair.2 AS value,
        count() AS customers
    FROM
    (
        SELECT arrayJoin(JSONExtractKeysAndValuesRaw(attributes)) AS pair
        FROM customers
        WHERE tenant_id = {tenant_id:String}
    )
    WHERE pair.1 IN {names:Array(String)}
    GROUP BY name, value
)
GROUP BY name
