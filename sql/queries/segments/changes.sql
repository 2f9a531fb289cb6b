-- A row is a customer who has entered or left a segment since its last refresh. Candidates are all customers of the
-- tenant with attributes or summaries, and the members of the segment.
-- Values are JSON texts, empty where there is none. A filter has one row per value in its frame; texts, numbers and
-- null are compared with their like only. Merged customers are one, by the canonical id: numbers add up, and of an
-- attribute the value of the first id that has one counts.
-- Frames: segment_filters (number, field, source, path, operator, fallback, kind, text, needle), segment_periods
-- (period_key), segment_people (customer_id, person, place: of every id of merged customers).
WITH
filters AS
(
    SELECT
        number,
        any(field) AS field,
        any(operator) AS operator,
        any(fallback) AS fallback,
        groupArrayIf(text, kind = 'text') AS texts,
        groupArrayIf(JSONExtractFloat(text), kind = 'number') AS numbers,
        countIf(kind = 'null') > 0 AS accepts_null,
        any(needle) AS needle
    FROM segment_filters
    GROUP BY number
),
attribute_values AS
(
    SELECT
        if(p.person = '', c.customer_id, p.person) AS customer_id,
        c.field AS field,
        argMinIf(c.value, p.place, c.value != '') AS value
    FROM
    (
        SELECT
            k.customer_id AS customer_id,
            f.field AS field,
            if(
                JSONHas(k.attributes, f.path),
                JSONExtractRaw(k.attributes, f.path),
                arrayFold((inner, name) -> JSONExtractRaw(inner, name), splitByChar('.', f.path), k.attributes)
            ) AS value
        FROM customers AS k
        CROSS JOIN (SELECT DISTINCT field, path FROM segment_filters WHERE source = 'customer') AS f
        WHERE k.tenant_id = {tenant_id:String}
    ) AS c
    LEFT JOIN segment_people AS p ON p.customer_id = c.customer_id
    GROUP BY customer_id, field
),
summary_values AS
(
    SELECT
        customer_id,
        concat('summary.', period_key, '.', pair.1) AS field,
        toString(pair.2) AS value
    FROM
    (
        SELECT
            if(p.person = '', s.customer_id, p.person) AS customer_id,
            toString(s.period_key) AS period_key,
            arrayJoin([
                ('impressions', toFloat64(sum(s.impressions))),
                ('positive', toFloat64(sum(s.positive))),
                ('negative', toFloat64(sum(s.negative))),
                ('neutral', toFloat64(sum(s.neutral))),
                ('converts', toFloat64(sum(s.converts))),
                ('totalValue', toFloat64(sum(s.total_value))),
                ('lastContactDays', ({now_ms:Int64} - max(toUnixTimestamp64Milli(s.last_contact_at))) / 86400000)
            ]) AS pair
        FROM interaction_summary_state AS s FINAL
        LEFT JOIN segment_people AS p ON p.customer_id = s.customer_id
        WHERE s.tenant_id = {tenant_id:String}
            AND s.period_key IN (SELECT period_key FROM segment_periods)
            AND s.impressions + s.positive + s.negative + s.neutral > 0
        GROUP BY customer_id, s.period_key
    )
),
metric_values AS
(
    SELECT
        if(p.person = '', a.customer_id, p.person) AS customer_id,
        concat('metric.', toString(a.number)) AS field,
        toString(multiIf(
            a.aggregate = 'count', toFloat64(sum(a.amounts)),
            a.aggregate = 'sum', toFloat64(sum(a.total)),
            a.aggregate = 'avg', toFloat64(sum(a.total)) / sum(a.amounts),
            a.aggregate = 'min', toFloat64(min(a.least)),
            toFloat64(max(a.most))
        )) AS value
    FROM metric_amounts(
        tenant_id = {tenant_id:String},
        first_id = {first_id:String},
        before_id = {before_id:String},
        windows = {windows:Array(Tuple(UInt32, String, String, String, UInt32, UInt32))},
        filters = {filters:Array(Tuple(UInt32, String, String))}
    ) AS a
    LEFT JOIN segment_people AS p ON p.customer_id = a.customer_id
    GROUP BY customer_id, a.number, a.aggregate
),
everybody AS
(
    SELECT DISTINCT if(p.person = '', known.customer_id, p.person) AS customer_id
    FROM
    (
        SELECT customer_id FROM customers WHERE tenant_id = {tenant_id:String}
        UNION DISTINCT
        SELECT s.customer_id
        FROM interaction_summary_state AS s FINAL
        WHERE s.tenant_id = {tenant_id:String}
            AND s.period_key = 'alltime'
            AND s.impressions + s.positive + s.negative + s.neutral > 0
    ) AS known
    LEFT JOIN segment_people AS p ON p.customer_id = known.customer_id
),
fulfilled AS
(
    SELECT
        customer_id,
        number,
        JSONType(value) AS type,
        multiIf(
            type = 'String', 'text',
            type IN ('Int64', 'UInt64', 'Double', 'Bool'), 'number',
            type = 'Array', 'list',
            type = 'Object', 'object',
            'null'
        ) AS kind,
        JSONExtractString(value) AS words,
        if(type = 'Bool', toFloat64(JSONExtractBool(value)), JSONExtractFloat(value)) AS amount,
        (kind = 'text' AND has(texts, words))
            OR (kind = 'number' AND has(numbers, amount))
            OR (kind = 'null' AND accepts_null) AS is_accepted,
        multiIf(kind = 'number', amount, kind = 'text', toFloat64OrNull(extract(words, {number_pattern:String})), NULL) AS left_number,
        if(isFinite(left_number), left_number, NULL) AS left,
        if(notEmpty(numbers), numbers[1], toFloat64OrNull(extract(texts[1], {number_pattern:String}))) AS right_number,
        if(abs(right_number) <= 9007199254740991, right_number, NULL) AS right,
        if(
            kind = 'text' AND notEmpty(texts),
            multiIf(words > texts[1], 1, words < texts[1], -1, 0),
            multiIf(left > right, 1, left < right, -1, left = right, 0, NULL)
        ) AS order_of,
        multiIf(
            operator IN ('eq', 'in'), is_accepted,
            operator IN ('neq', 'not_in'), NOT is_accepted,
            operator IN ('is_null', 'not_exists'), kind = 'null',
            operator IN ('is_not_null', 'exists'), kind != 'null',
            operator = 'gt', ifNull(order_of > 0, false),
            operator = 'gte', ifNull(order_of >= 0, false),
            operator = 'lt', ifNull(order_of < 0, false),
            operator = 'lte', ifNull(order_of <= 0, false),
            operator = 'starts_with', kind = 'text' AND startsWith(words, needle),
            operator = 'contains' AND kind = 'text', position(words, needle) > 0,
            operator = 'contains' AND kind = 'list', arrayExists(
                item -> if(
                    JSONType(item) = 'String',
                    has(texts, JSONExtractString(item)),
                    has(numbers, if(JSONType(item) = 'Bool', toFloat64(JSONExtractBool(item)), JSONExtractFloat(item)))
                        AND JSONType(item) IN ('Int64', 'UInt64', 'Double', 'Bool')
                ),
                JSONExtractArrayRaw(value)
            ),
            false
        ) AS holds
    FROM
    (
        SELECT
            e.customer_id AS customer_id,
            e.number AS number,
            e.operator AS operator,
            e.texts AS texts,
            e.numbers AS numbers,
            e.accepts_null AS accepts_null,
            e.needle AS needle,
            coalesce(nullIf(v.value, ''), e.fallback) AS value
        FROM (SELECT * FROM everybody CROSS JOIN filters) AS e
        LEFT JOIN
        (
            SELECT * FROM attribute_values
            UNION ALL
            SELECT * FROM summary_values
            UNION ALL
            SELECT * FROM metric_values
        ) AS v ON v.customer_id = e.customer_id AND v.field = e.field
    )
)
SELECT
    customer_id,
    max(is_in) AS is_member
FROM
(
    SELECT customer_id, true AS is_in, false AS was_in
    FROM fulfilled
    GROUP BY customer_id
    HAVING if({needs_all:Bool}, min(holds), max(holds))
    UNION ALL
    SELECT customer_id, false AS is_in, true AS was_in
    FROM segment_members FINAL
    WHERE tenant_id = {tenant_id:String} AND segment_id = {segment_id:String} AND is_member
)
GROUP BY customer_id
HAVING max(is_in) != max(was_in)
