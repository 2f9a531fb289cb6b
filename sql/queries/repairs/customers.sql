-- A row is one customer of one repair in one source that has not been done.
SELECT toString(tenant_id) AS tenant_id, customer_id
FROM summary_repairs FINAL
WHERE repair_id = {repair_id:String} AND source = {source:String} AND is_done = 0
