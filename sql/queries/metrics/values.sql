-- A row is what one behavioral metric counts of one customer, all ids together, where it counts any; the caller makes the
-- metric's value of it.
-- Frame: metric_customers (customer_id, member: one row for each id of a customer).
SELECT
    c.customer_id AS customer_id,
    a.number AS number,
    sum(a.amounts) AS amounts,
    sum(a.total) AS total,
    min(a.least) AS least,
    max(a.most) AS most
FROM
(
    SELECT *
    FROM metric_amounts(
        tenant_id = {tenant_id:String},
        first_id = {first_id:String},
        before_id = {before_id:String},
        windows = {windows:Array(Tuple(UInt32, String, String, String, UInt32, UInt32))},
        filters = {filters:Array(Tuple(UInt32, String, String))}
    )
    WHERE customer_id IN (SELECT member FROM metric_customers)
) AS a
INNER JOIN metric_customers AS c ON c.member = a.customer_id
GROUP BY customer_id, number
